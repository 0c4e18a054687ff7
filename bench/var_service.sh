# The behaviour of busybox's example services, for the benchmark: made anew from what they do, in a tree of busybox's runsvdir.
# A polled link takes dhcp up and down; a lease becomes a shell fragment; the configurator flushes and sets everything anew.
mkdir -p /run/bb/fw /run/bb/dhcp_eth0 /run/bb/ifplugd_eth0 /run/bbx
service() { # NAME: its script is the input
    cat >"/run/bb/$1"
    chmod +x "/run/bb/$1"
}
service fw/configure <<'END'
#!/bin/sh
for each in /run/bbx/*.ipconf; do [ ! -e "$each" ] || . "$each"; done
for device in eth0; do
    ip addr flush dev "$device"
    ip route flush dev "$device"
done
if [ -n "$ipmask" ]; then
    ip addr add "$ipmask" brd + dev eth0
    ip link set dev eth0 up
    [ -z "$gw" ] || ip route add default via "$gw" dev eth0
fi
{ for each in $dns; do echo "nameserver $each"; done; } >/run/bbx/resolv.conf
END
service fw/run <<'END'
#!/bin/sh
exec 2>&1
sv=/run/bb/fw
busybox sv o "$sv"
exec sh "$sv/configure"
END
service dhcp_eth0/handler <<'END'
#!/bin/sh
case $1 in
bound | renew)
    env >/run/bbx/env.out
    printf "ipmask='%s/%s'\ngw='%s'\ndns='%s'\n" "$ip" "$mask" "$router" "$dns" >/run/bbx/new
    if ! cmp -s /run/bbx/new /run/bbx/dhcp_eth0.ipconf; then
        cp /run/bbx/new /run/bbx/dhcp_eth0.ipconf
        busybox sv u /run/bb/fw
    fi
    ;;
*)
    rm -f /run/bbx/env.out /run/bbx/dhcp_eth0.ipconf
    busybox sv u /run/bb/fw
    ;;
esac
END
service dhcp_eth0/run <<'END'
#!/bin/sh
exec 2>&1 </dev/null
ip link set dev eth0 up
exec env -i PATH=/usr/bin udhcpc -vv -f -i eth0 -s /run/bb/dhcp_eth0/handler
END
service dhcp_eth0/finish <<'END'
#!/bin/sh
exec /run/bb/dhcp_eth0/handler deconfig
END
service ifplugd_eth0/handler <<'END'
#!/bin/sh
case $2 in up) busybox sv u /run/bb/dhcp_eth0 ;; *) busybox sv d /run/bb/dhcp_eth0 ;; esac
exit 0
END
service ifplugd_eth0/run <<'END'
#!/bin/sh
exec 2>&1 </dev/null
exec env -i PATH=/usr/bin ifplugd -aqlMns -t3 -u8 -d8 -i eth0 -r /run/bb/ifplugd_eth0/handler
END
PATH=/usr/bin busybox runsvdir /run/bb >/dev/null 2>&1 </dev/null &
