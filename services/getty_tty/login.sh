#!/bin/sh
# What login runs as root before it becomes the user LOGIN_UID: the screen's memory is his, too.
number=${LOGIN_TTY##*tty}
case $number in '' | *[!0-9]*) exit 0 ;; esac
for device in "/dev/vcs$number" "/dev/vcsa$number"; do
    [ ! -c "$device" ] || chown "$LOGIN_UID:$LOGIN_GID" "$device"
done
