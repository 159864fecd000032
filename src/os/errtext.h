// SPDX-License-Identifier: MIT
#ifndef WI_OS_ERRTEXT_H
#define WI_OS_ERRTEXT_H

// The text of an errno value, untranslated; "an unknown code" if it has none.
const char *wi_os_error_text(int number);

#endif
