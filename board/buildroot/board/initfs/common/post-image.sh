#!/bin/sh
# post-image.sh IMAGES NAME: writes IMAGES/start-qemu.sh, called as the one of Buildroot's own QEMU boards.
set -eu
images=$1
name=$2
case $name in
initfs_qemu_aarch64_virt_defconfig)
	emulator=qemu-system-aarch64 kernel=Image console=ttyAMA0
	machine="-M virt -cpu cortex-a53 -smp 2 -m 256"
	;;
initfs_qemu_x86_64_defconfig)
	emulator=qemu-system-x86_64 kernel=bzImage console=ttyS0
	machine="-M q35 -cpu max -smp 2 -m 256"
	;;
*)
	echo "post-image.sh: fatal: unable to start $name in QEMU: not known here" >&2
	exit 1
	;;
esac

cat >"$images/start-qemu.sh" <<EOF
#!/bin/sh
# start-qemu.sh [--serial-only] [--use-system-qemu] [-- QEMU's arguments]
BINARIES_DIR=\$(cd "\$(dirname "\$0")" && pwd)
serial=no
system=no
while [ \$# -gt 0 ]; do
	case \$1 in
	--serial-only) serial=yes ;;
	--use-system-qemu) system=yes ;;
	--)
		shift
		break
		;;
	*)
		echo "usage: start-qemu.sh [--serial-only] [--use-system-qemu] [-- argument...]" >&2
		exit 1
		;;
	esac
	shift
done
[ "\$system" = yes ] || PATH="${HOST_DIR:-}/bin:\$PATH"
[ "\$serial" = no ] || set -- -nographic "\$@"
[ "\$serial" = yes ] || set -- -serial stdio "\$@"
exec $emulator $machine -kernel "\$BINARIES_DIR/$kernel" -initrd "\$BINARIES_DIR/rootfs.cpio.zst" \\
	-append "console=$console quiet panic=-1" -no-reboot \\
	-netdev user,id=eth0 -device virtio-net-pci,netdev=eth0,romfile= "\$@"
EOF
chmod 755 "$images/start-qemu.sh"
