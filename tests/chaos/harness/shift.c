/* Preloaded into a service: its wall clock is off by what stands in a file, its monotonic clock is true.
 *
 * CLOCK_SHIFT_FILE names a file of 8 bytes, a signed number of nanoseconds in the order of this machine. It is
 * mapped, so that a step takes effect between two looks at the clock, as a step of the system's own would. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t NS = 1000000000;
static volatile const int64_t *shift;
static int (*true_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    true_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift = page;
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!true_clock) begin();
    int failed = true_clock(id, now);
    if (failed || !shift || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
    int64_t wall = now->tv_sec * NS + now->tv_nsec + *shift;
    now->tv_sec = wall / NS;
    now->tv_nsec = wall % NS;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec wall;
    if (clock_gettime(CLOCK_REALTIME, &wall)) return -1;
    now->tv_sec = wall.tv_sec;
    now->tv_usec = wall.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec wall;
    if (clock_gettime(CLOCK_REALTIME, &wall)) return (time_t)-1;
    if (out) *out = wall.tv_sec;
    return wall.tv_sec;
}
