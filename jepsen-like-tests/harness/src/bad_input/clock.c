/* A wall clock that is wrong by CLOCK_SHIFT_SECONDS, for one process: it is preloaded. Clocks that
 * only count, by which leases and elections go, stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    static long long shift;
    if (!next) {
        const char *told = getenv("CLOCK_SHIFT_SECONDS");
        shift = told ? atoll(told) : 0;
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = next(which, now);
    if (result == 0 && which == CLOCK_REALTIME) {
        now->tv_sec += shift;
    }
    return result;
}
