################################################################################
#
# initfs
#
################################################################################

INITFS_VERSION = 0.1.0
INITFS_SITE = $(realpath $(BR2_EXTERNAL_INITFS_PATH)/../..)
INITFS_SITE_METHOD = local
INITFS_SETUP_TYPE = flit
INITFS_LICENSE = ISC
INITFS_LICENSE_FILES = LICENSE

# The installer writes no -IS into the launcher, and no names of programs.
define INITFS_INSTALL_PROGRAMS
	$(INSTALL) -D -m 0755 $(INITFS_PKGDIR)/initfs \
		$(TARGET_DIR)/usr/bin/initfs
	cd $(@D) && $(HOST_DIR)/bin/python3 -c \
		"from initfs.programs import PROGRAMS; print(*PROGRAMS)" | \
		tr " " "\n" | while read name; do \
			ln -sf initfs $(TARGET_DIR)/usr/bin/$$name || exit 1; \
		done
endef
INITFS_POST_INSTALL_TARGET_HOOKS += INITFS_INSTALL_PROGRAMS

# Stage 1 is what the kernel runs: /init of an initramfs, /sbin/init of a disk.
define INITFS_INSTALL_INIT
	$(INSTALL) -D -m 0755 $(@D)/initfs/pid1/stage1.sh $(TARGET_DIR)/init
	ln -sf ../init $(TARGET_DIR)/sbin/init
endef
ifeq ($(BR2_INIT_INITFS),y)
INITFS_POST_INSTALL_TARGET_HOOKS += INITFS_INSTALL_INIT
endif

$(eval $(python-package))
