/* The least that starting services can cost: vfork and exec of `run` for each directory of a directory, nothing else. */
#include <dirent.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    DIR *scan = argc == 2 && chdir(argv[1]) == 0 ? opendir(".") : NULL;
    if (!scan)
        return 111;
    for (struct dirent *entry; (entry = readdir(scan));) {
        if (entry->d_name[0] == '.')
            continue;
        if (vfork() == 0) {
            if (chdir(entry->d_name) == 0)
                execl("./run", "./run", (char *)NULL);
            _exit(111);
        }
    }
    for (;;)
        pause();
}
