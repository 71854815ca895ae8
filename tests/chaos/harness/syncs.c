/* fsync(2) and fdatasync(2) that take longer, and are counted; loaded before all other libraries.
 *
 * Both numbers are mapped: the delay (ns) is read at each call, so it can be set while the process runs.
 * It sleeps after the true call, as a disk that has the bytes and is slow to say so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct page {
    int64_t delay_ns; /* set from outside */
    int64_t delayed;  /* calls that were */
};

static volatile struct page *page;
static int (*true_fsync)(int);
static int (*true_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SYNC_DELAY_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    true_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    true_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) page = mapped;
    close(file);
}

static int delayed(int result) {
    int64_t delay = page ? page->delay_ns : 0;
    if (delay > 0) {
        int kept = errno;
        struct timespec left = {delay / 1000000000, delay % 1000000000};
        while (nanosleep(&left, &left) && errno == EINTR) {
        }
        __atomic_add_fetch(&page->delayed, 1, __ATOMIC_RELAXED);
        errno = kept;
    }
    return result;
}

int fsync(int file) { return delayed(true_fsync(file)); }

int fdatasync(int file) { return delayed(true_fdatasync(file)); }
