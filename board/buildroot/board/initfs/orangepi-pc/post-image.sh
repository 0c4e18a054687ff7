#!/bin/sh
# post-image.sh IMAGES: extlinux.conf beside what genimage puts on the card.
set -eu
mkdir -p "$1/extlinux"
cat >"$1/extlinux/extlinux.conf" <<'EOF'
DEFAULT initfs
TIMEOUT 1
LABEL initfs
  LINUX /zImage
  INITRD /rootfs.cpio.zst
  FDT /sun8i-h3-orangepi-pc.dtb
  APPEND console=ttyS0,115200 quiet panic=-1
EOF
