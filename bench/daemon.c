/* The daemon of the benchmark of supervisors: it tells when it began and which process it is, then waits for ever.

   A record is 16 bytes, CLOCK_MONOTONIC nanoseconds and pid, in the host's byte order, in one write: pipe(7) keeps it
   whole. The moment is its own, so that whoever reads the FIFO may come late. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t record[2] = {(int64_t)now.tv_sec * 1000000000 + now.tv_nsec, getpid()};
    const char *path = getenv("BENCH_FIFO");
    const int fd = path ? open(path, O_WRONLY | O_NONBLOCK) : -1;
    if (fd < 0 || write(fd, record, sizeof record) != sizeof record)
        return 111;
    close(fd);
    for (;;)
        pause();
}
