// SPDX-License-Identifier: MIT
// The machine that a benchmark ran on, for whoever reads its figures.
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

#include "bench.h"
#include "json.h"

enum { LINE = 512 };

static void end_line(char *text)
{
    size_t n = strcspn(text, "\n");

    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '"'))
        n--;
    text[n] = '\0';
}

// The value after `label` and a colon or an equals sign, in the first line that
// begins so; without a label the first line.
static bool look_up(const char *path, const char *label, char *value)
{
    FILE *in = fopen(path, "re");
    char line[LINE];
    size_t n = strlen(label);
    bool found = false;

    while (in && !found && fgets(line, sizeof(line), in)) {
        if (strncmp(line, label, n) != 0 || (n && !strchr(" \t:=", line[n])))
            continue;
        strcpy(value, line + n + strspn(line + n, " \t:=\""));
        end_line(value);
        found = true;
    }
    if (in)
        fclose(in);
    return found;
}

static void put_value(struct json *j, const char *name, const char *path,
                      const char *label)
{
    char value[LINE];
    json_string(j, name, look_up(path, label, value) ? value : NULL);
}

static void put_system(struct json *j)
{
    char kernel[3 * sizeof(((struct utsname *)0)->sysname)];
    struct utsname name;

    uname(&name);
    // Without what whoever built the kernel has added to its version.
    name.release[strcspn(name.release, "-+")] = '\0';
    snprintf(kernel, sizeof(kernel), "%s %s", name.sysname, name.release);
    json_string(j, "kernel", kernel);
    json_string(j, "architecture", name.machine);
    put_value(j, "system", "/etc/os-release", "PRETTY_NAME");
    put_value(j, "processor", "/proc/cpuinfo", "model name");
    json_int(j, "processors", sysconf(_SC_NPROCESSORS_ONLN));
    json_uint(j, "usable", weft_cpu_count());
    put_value(j, "memory", "/proc/meminfo", "MemTotal");
    // Whether others work on the machine, or did a moment ago.
    put_value(j, "load", "/proc/loadavg", "");
}

// "NAME VERSION" a line, written when the programs were configured.
static void put_versions(struct json *j, const char *folder)
{
    char path[4096], line[LINE];

    snprintf(path, sizeof(path), "%s/tools/versions", folder);
    FILE *in = fopen(path, "re");
    json_open_object(j, "versions");
    while (in && fgets(line, sizeof(line), in)) {
        char *version = strrchr(line, '\t');
        if (!version)
            continue;
        *version++ = '\0';
        end_line(version);
        json_string(j, line, version);
    }
    json_close_object(j);
    if (in)
        fclose(in);
}

void bench_machine(struct json *j, const char *folder)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_string(j, "date", when);
    put_system(j);
    json_string(j, "weft", weft_version());
    put_versions(j, folder);
}
