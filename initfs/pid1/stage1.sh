#!/bin/sh
# Stage 1: what the kernel runs. Mounts what Python needs and becomes process 1; failing that, leaves a shell on the console.
# `/init rescue WHY` is how process 1 itself gets back here, `/init again` how it executes itself anew.

# A redirection that fails ends the shell, and with it the kernel: so it is tried first.
console() {
    if { : </dev/console >/dev/console; } 2>/dev/null; then
        exec </dev/console >/dev/console 2>&1
    else
        exec </dev/null >/dev/null 2>&1
    fi
}

rescue() {
    console
    echo "init: fatal: unable to run process 1: $1"
    echo "init: info: this is a shell on the console; 'reboot -f' restarts the machine"
    while :; do
        busybox setsid cttyhack /bin/sh # started anew when it ends: process 1 must not exit
        sleep 1
    done
}

# What becomes process 1; whatever leads out of it leads back to `rescue`.
become() {
    console
    exec python3 -sSPc '
import os
why = "it ended"
try:
    from initfs.pid1.init import main
    main(["init"])
except BaseException as error:
    why = f"{type(error).__name__}: {error}"
finally:
    os.execv("/bin/sh", ["sh", "/init", "rescue", why])
'
}

export PATH=/usr/bin
trap '' INT # ctrl-alt-del means something once process 1 hears it
case $1 in
rescue) rescue "$2" ;;
again) become ;;
esac

mount -t devtmpfs -o nosuid,mode=0755 dev /dev
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t tmpfs -o nosuid,nodev,mode=0755,size=25% run /run || rescue "there is no /run"
read -r INITFS_STAGE1 _ </proc/uptime

# An interpreter that cannot start would take the kernel with it, so it is tried first, while the tree is laid out.
# The seed: Python's start otherwise waits for the kernel's random numbers, seconds on a board that has no source.
export PYTHONHASHSEED=0 INITFS_STAGE1
python3 -sSPc '' 2>/run/why &
tried=$!
mkdir -p /dev/pts /run/initfs /run/service /run/uncaught-logs
mount -t devpts -o nosuid,noexec,mode=0620,gid=5 devpts /dev/pts
cp -a /etc/initfs/early/. /run/service/ && mkfifo -m 600 /run/service/svscan-log/fifo || rescue "/run is full"
echo 0 >/proc/sys/kernel/ctrl-alt-del # a signal to process 1 instead of an immediate reset
wait $tried || rescue "$(cat /run/why)"
become
