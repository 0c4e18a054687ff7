#!/bin/sh
# post-image.sh IMAGES: a disk that a PC without UEFI starts by syslinux, with a serial console.
set -eu
images=$1
work=$images/apu
rm -rf "$work"
mkdir -p "$work/root" "$work/out"
cp "$images/bzImage" "$images/rootfs.cpio.zst" "$work/root/"
cat >"$work/root/syslinux.cfg" <<'EOF'
SERIAL 0 115200
DEFAULT initfs
PROMPT 0
LABEL initfs
  LINUX /bzImage
  INITRD /rootfs.cpio.zst
  APPEND console=ttyS0,115200 quiet panic=-1
EOF
cat >"$work/genimage.cfg" <<'EOF'
image boot.vfat {
	vfat {
		extraargs = "-F 32"
	}

	size = 96M
	mountpoint = "/"
}

image disk.img {
	hdimage {
	}

	partition boot {
		partition-type = 0xC
		bootable = true
		image = "boot.vfat"
		offset = 1M
	}
}
EOF
genimage --rootpath "$work/root" --tmppath "$work/tmp" --inputpath "$work/out" --outputpath "$work/out" --config "$work/genimage.cfg"
syslinux -t 1048576 -i "$work/out/disk.img"
dd if="$images/syslinux/mbr.bin" of="$work/out/disk.img" bs=440 count=1 conv=notrunc
mv "$work/out/disk.img" "$images/disk.img"
