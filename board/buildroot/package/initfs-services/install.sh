#!/bin/sh
# install.sh SERVICES: puts the chosen service directories and what stage 1 and stage 2 read into TARGET_DIR/etc/initfs.
set -eu
source=$1
home=$TARGET_DIR/etc/initfs
console=${CONSOLE:-console}

# The directory an instance is made from: its own name, or the template that differs in the place of _if or _tty.
template() {
	if [ -d "$source/$1" ]; then
		echo "$1"
		return
	fi
	for kind in if tty; do
		if [ -d "$source/${1%%_*}_$kind" ]; then
			echo "${1%%_*}_$kind"
			return
		fi
	done
	echo "install.sh: fatal: unable to find service $1" >&2
	exit 1
}

install_services() {
	folder=$1
	shift
	mkdir -p "$folder"
	for name; do
		[ "$name" != getty_console ] || name=getty_$console
		from=$(template "$name")
		rm -rf "${folder:?}/$name"
		cp -R "$source/$from" "$folder/$name"
		rm -rf "$folder/$name/README.md" "$folder/$name"/test* "$folder/$name/requirements.txt"
	done
}

# shellcheck disable=SC2086 # lists of words
install_services "$home/early" $EARLY
# shellcheck disable=SC2086
install_services "$home/service" $SERVICES
for script in "$source"/rc.*; do
	install -D -m 0755 "$script" "$home/${script##*/}"
done

release=$(find "$TARGET_DIR/lib/modules" -mindepth 1 -maxdepth 1 -printf "%f\n" 2>/dev/null | head -n 1)
: >"$home/modules"
for module in $MODULES; do
	path=$(cd "$TARGET_DIR" && find "lib/modules/$release" -name "$module.ko*" | head -n 1)
	if [ -z "$path" ]; then
		echo "install.sh: fatal: unable to find kernel module $module" >&2
		exit 1
	fi
	echo "/$path" >>"$home/modules"
done

cat >"$home/board" <<EOF
BOARD=$BOARD
ARCHITECTURE=$ARCHITECTURE
CONSOLE=$console
BAUD=${BAUD:-115200}
IMAGE_TIME=${SOURCE_DATE_EPOCH:-0}
EOF

# the catch-all logger's user
grep -q '^logger:' "$TARGET_DIR/etc/passwd" ||
	echo 'logger:x:100:100:catch-all logger:/:/bin/false' >>"$TARGET_DIR/etc/passwd"
grep -q '^logger:' "$TARGET_DIR/etc/group" || echo 'logger:x:100:' >>"$TARGET_DIR/etc/group"
