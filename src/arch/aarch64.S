// SPDX-License-Identifier: MIT
// The switch for aarch64, AAPCS64.
//
// A suspended stack holds, from its saved stack pointer up:
//
//     x29 x30 x19 x20 ... x27 x28 d8 ... d15          (160 bytes)
//
// so the frame description holds on both sides of the move of sp. Only the
// low halves of v8 to v15 are callee-saved. FPCR is thread state.
//
// BTI is claimed. x30 is not signed: a fresh frame would have to be signed
// with the same key and modifier, and return addresses of other functions
// on the stack still are when the program is built for it.

#if !defined(__aarch64__) || defined(__ILP32__)
#error "aarch64.S is for the LP64 AAPCS64"
#endif

#define FRAME 160

    .text

// void wi_arch_switch(void **save [x0], void *load [x1])
    .globl  wi_arch_switch
    .hidden wi_arch_switch
    .type   wi_arch_switch, %function
    .balign 32
wi_arch_switch:
    .cfi_startproc
    hint    #34                         // bti c
    sub     sp, sp, #FRAME
    .cfi_def_cfa_offset FRAME
    stp     x29, x30, [sp, #0]
    .cfi_offset x29, 0 - FRAME
    .cfi_offset x30, 8 - FRAME
    stp     x19, x20, [sp, #16]
    .cfi_offset x19, 16 - FRAME
    .cfi_offset x20, 24 - FRAME
    stp     x21, x22, [sp, #32]
    .cfi_offset x21, 32 - FRAME
    .cfi_offset x22, 40 - FRAME
    stp     x23, x24, [sp, #48]
    .cfi_offset x23, 48 - FRAME
    .cfi_offset x24, 56 - FRAME
    stp     x25, x26, [sp, #64]
    .cfi_offset x25, 64 - FRAME
    .cfi_offset x26, 72 - FRAME
    stp     x27, x28, [sp, #80]
    .cfi_offset x27, 80 - FRAME
    .cfi_offset x28, 88 - FRAME
    stp     d8, d9, [sp, #96]
    .cfi_offset d8, 96 - FRAME
    .cfi_offset d9, 104 - FRAME
    stp     d10, d11, [sp, #112]
    .cfi_offset d10, 112 - FRAME
    .cfi_offset d11, 120 - FRAME
    stp     d12, d13, [sp, #128]
    .cfi_offset d12, 128 - FRAME
    .cfi_offset d13, 136 - FRAME
    stp     d14, d15, [sp, #144]
    .cfi_offset d14, 144 - FRAME
    .cfi_offset d15, 152 - FRAME
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    // A register is restored by its load, but its slot holds the same value
    // until sp moves, so the offsets above stay true up to the add.
    ldp     x29, x30, [sp, #0]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #FRAME
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore d8
    .cfi_restore d9
    .cfi_restore d10
    .cfi_restore d11
    .cfi_restore d12
    .cfi_restore d13
    .cfi_restore d14
    .cfi_restore d15
    ret
    .cfi_endproc
    .size   wi_arch_switch, . - wi_arch_switch

// void *wi_arch_prepare(void *top [x0], entry [x1], void *arg [x2])
    .globl  wi_arch_prepare
    .hidden wi_arch_prepare
    .type   wi_arch_prepare, %function
    .balign 16
wi_arch_prepare:
    .cfi_startproc
    hint    #34                         // bti c
    sub     x0, x0, #FRAME
    adrp    x9, .Lfirst
    add     x9, x9, :lo12:.Lfirst
    stp     xzr, x9, [x0, #0]           // x29: the last frame record; x30
    stp     x1, x2, [x0, #16]           // x19: entry, x20: arg
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    stp     xzr, xzr, [x0, #64]
    stp     xzr, xzr, [x0, #80]
    stp     xzr, xzr, [x0, #96]
    stp     xzr, xzr, [x0, #112]
    stp     xzr, xzr, [x0, #128]
    stp     xzr, xzr, [x0, #144]
    ret
    .cfi_endproc
    .size   wi_arch_prepare, . - wi_arch_prepare

// First on a fresh stack. It begins with a nop that is not run: an unwinder
// looks up the byte before a return address, and the stack of a task that has
// not run yet returns to the label.
    .hidden wi_arch_entry
    .type   wi_arch_entry, %function
    .balign 16
wi_arch_entry:
    .cfi_startproc
    .cfi_undefined x30
    .cfi_undefined x29
    nop
.Lfirst:
    hint    #36                         // bti j: reached by ret today
    mov     x0, x20
    blr     x19
    brk     #0x3e8
    .cfi_endproc
    .size   wi_arch_entry, . - wi_arch_entry

    .section .note.GNU-stack, "", %progbits

// GNU property: BTI.
    .section .note.gnu.property, "a"
    .balign 8
    .long   4                           // length of "GNU\0"
    .long   16                          // length of the properties
    .long   5                           // NT_GNU_PROPERTY_TYPE_0
    .asciz  "GNU"
    .long   0xc0000000                  // GNU_PROPERTY_AARCH64_FEATURE_1_AND
    .long   4
    .long   1                           // BTI
    .long   0
