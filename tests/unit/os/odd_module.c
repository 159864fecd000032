// SPDX-License-Identifier: MIT
// A library that is linked without a build-id, and whose last note is not
// padded: the segment of notes ends with it.
int odd_module_place(void);

int odd_module_place(void)
{
    return 1;
}

__asm__(".pushsection .note.zz.odd, \"a\", %note\n"
        ".balign 4\n"
        ".long 4\n"
        ".long 1\n"
        ".long 77\n"
        ".asciz \"odd\"\n"
        ".byte 1\n"
        ".popsection\n");
