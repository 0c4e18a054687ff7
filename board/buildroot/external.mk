include $(sort $(wildcard $(BR2_EXTERNAL_INITFS_PATH)/package/*/*.mk))
