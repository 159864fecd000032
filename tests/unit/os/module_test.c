// SPDX-License-Identifier: MIT
#include "os/module.h"

#include <dlfcn.h>
#include <string.h>

#include "weft_test.h"

WEFT_TEST(a_note_without_its_padding_ends_the_search)
{
    struct wi_os_module module, own;
    void *library = dlopen(ODD_MODULE, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    void *place = dlsym(library, "odd_module_place");
    ck_assert_ptr_nonnull(place);
    ck_assert(wi_os_module_at(place, &module));
    // A hash then, of its headers, and of no others.
    ck_assert_uint_eq(module.build.size, sizeof(uint64_t));
    ck_assert(wi_os_module_at(&ODD_MODULE[0], &own));
    ck_assert_int_ne(memcmp(&own.build, &module.build, sizeof own.build), 0);
    uint64_t offset = (uintptr_t)place - module.base;
    ck_assert_ptr_eq(wi_os_module_place(&module.build, offset, 1, true), place);
    ck_assert_ptr_null(
        wi_os_module_place(&module.build, offset, SIZE_MAX, true));
}

// As the linker was told, byte for byte.
WEFT_TEST(the_build_id_is_found)
{
    static const uint8_t id[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd};
    struct wi_os_module module;
    void *library = dlopen(BUILT_MODULE, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    ck_assert(wi_os_module_at(dlsym(library, "odd_module_place"), &module));
    ck_assert_uint_eq(module.build.size, sizeof id);
    ck_assert_mem_eq(module.build.id, id, sizeof id);
}

WEFT_TEST_MAIN("module")
