#!/bin/sh
# Stage 1: what the kernel runs. Mounts what Python needs and becomes process 1; failing that, leaves a shell on the console.
# `/init --rescue WHY` is how process 1 itself gets back here, `/init --again` how it executes itself anew.

# Settings: these are an image's; `init-maker` writes others into its copy.
base=/etc/initfs scripts=/etc/initfs
dev=/dev run=mount container=
export PATH=/usr/bin
# End of settings.

# A redirection that fails ends the shell, and with it the kernel: so it is tried first.
console() {
    if { : </dev/console >/dev/console; } 2>/dev/null; then
        exec </dev/console >/dev/console 2>&1
    elif [ ! "$container" ]; then
        exec </dev/null >/dev/null 2>&1
    fi
}

rescue() {
    console
    echo "init: fatal: unable to run process 1: $1"
    [ ! "$container" ] || exit 111
    echo "init: info: this is a shell on the console; 'reboot -f' restarts the machine"
    while :; do
        busybox setsid cttyhack /bin/sh || /bin/sh # started anew when it ends: process 1 must not exit
        sleep 1
    done
}

# Where memory is scarce, pages that nobody touches are kept compressed (zram): Python's processes sleep most of the time, and a root
# in memory is mostly read once. An image without the module does without.
compress() {
    while read -r key total _; do
        [ "$key" != MemTotal: ] || break
    done </proc/meminfo
    [ "$total" -lt 131072 ] && modprobe -q zram 2>/dev/null || return 0
    echo "${total}K" >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 ||
        echo "init: warning: unable to keep memory compressed; going on without"
    echo 0 >/proc/sys/vm/page-cluster # a page is read back alone: there is no disk to wait for
}

# What becomes process 1; whatever leads out of it leads back to `rescue`.
become() {
    [ "$container" ] || console
    exec python3 -sSPc '
import gc, os
gc.disable() # until it turns: nothing of what is imported is garbage
why = "it ended"
try:
    from initfs.pid1.init import main
    main(["init"])
except BaseException as error:
    why = f"{type(error).__name__}: {error}"
finally:
    os.execv("/bin/sh", ["sh", os.environ["INITFS_INIT"], "--rescue", why])
' "$@"
}

trap '' INT # ctrl-alt-del means something once process 1 hears it
case $1 in
--rescue) rescue "$2" ;;
--again) become ;;
esac
[ $$ = 1 ] || exec initfs telinit "$@"

[ ! "$dev" ] || mount -t devtmpfs -o nosuid,mode=0755 dev "$dev"
if [ ! "$container" ]; then
    [ -r /proc/uptime ] || mount -t proc -o nosuid,nodev,noexec proc /proc
    [ -d /sys/class ] || mount -t sysfs -o nosuid,nodev,noexec sys /sys
    [ ! -d /sys/fs/pstore ] || mount -t pstore -o nosuid,nodev,noexec pstore /sys/fs/pstore # what a crash has left
fi
case $run in
mount) mount -t tmpfs -o nosuid,nodev,mode=0755,size=25% run /run || rescue "there is no /run" ;;
remount) mount -o remount,nosuid,nodev,mode=0755 /run || rescue "unable to remount /run" ;;
esac
read -r INITFS_STAGE1 _ </proc/uptime
read -r cmdline </proc/cmdline
case " $cmdline " in *" initfs.rescue "*) rescue "the kernel's command line asks for this shell" ;; esac
[ "$container" ] || compress

# An interpreter that cannot start would take the kernel with it, so it is tried first, while the tree is laid out.
# The seed: Python's start otherwise waits for the kernel's random numbers, seconds on a board that has no source.
export PYTHONHASHSEED=0 INITFS_STAGE1 INITFS_INIT="$0" INITFS_BASE="$base" INITFS_SCRIPTS="$scripts"
python3 -sSPc '' 2>/run/why &
tried=$!
mkdir -p /run/initfs /run/service /run/uncaught-logs
if [ -d "$base/run-image" ]; then
    cp -a "$base/run-image/." /run/ || rescue "/run is full"
else
    cp -a "$base/early/." /run/service/ && mkfifo -m 600 /run/service/svscan-log/fifo || rescue "/run is full"
fi
if [ ! "$container" ]; then
    mkdir -p /dev/pts
    mount -t devpts -o nosuid,noexec,mode=0620,gid=5 devpts /dev/pts
    echo 0 >/proc/sys/kernel/ctrl-alt-del # a signal to process 1 instead of an immediate reset
fi
wait $tried || rescue "$(cat /run/why)"
become "$@"
