#!/bin/sh
# Unpacks packages of Debian into the directory $INTO, which will be at $DONE, by apt with lists and archives
# of its own in $APT: it needs no root, and changes nothing of the system. $RELEASE is a release of Debian, or
# empty for the one that runs here.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
mkdir -p "$APT/lists/partial" "$APT/archives/partial" "$APT/sources"
cd "$APT/archives"

# Neither the system's lock nor another user for the download: the directories are ours.
apt() {
    program=$1
    shift
    if [ -n "$RELEASE" ]; then
        set -- -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$APT/sources" "$@"
    fi
    "$program" -qq -o "Dir::State::Lists=$APT/lists" -o "Dir::Cache::Archives=$APT/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"
}

# Downloads packages: those of this release with all that the system lacks for them.
download() {
    if [ -n "$RELEASE" ]; then
        apt apt-get download "$@"
    else
        apt apt-get --yes --no-install-recommends --download-only --reinstall install "$@"
    fi
}

# Unpacks packages into a directory. The lists may name some that were replaced since: then once more.
unpack() {
    into=$1
    shift
    download "$@" || { apt apt-get update && download "$@"; }
    for archive in *.deb; do
        dpkg -x "$archive" "$into"
        rm "$archive"
    done
}

if [ -n "$RELEASE" ]; then
    . /etc/os-release
    sed "s/$VERSION_CODENAME/$RELEASE/g" /etc/apt/sources.list.d/debian.sources >"$APT/sources/debian.sources"
    apt apt-get update
fi

case $WHAT in
# Programs, with a script in `bin/` for each that shows it the libraries it was unpacked with.
programs)
    unpack "$INTO" $PACKAGES
    # None has its owner's rights: nobody updates it here.
    chmod -R u-s,g-s "$INTO"
    mkdir -p "$INTO/bin"
    for file in "$INTO"/usr/bin/*; do
        name=${file##*/} program=${file##*/}
        # `valgrind` is a script that starts the system's `valgrind.bin`.
        if [ -f "$file.bin" ]; then program=$name.bin; fi
        cat >"$INTO/bin/$name" <<END
#!/bin/sh
export LD_LIBRARY_PATH='$DONE/usr/lib/x86_64-linux-gnu:$DONE/lib/x86_64-linux-gnu'
export VALGRIND_LIB='$DONE/usr/libexec/valgrind'
exec '$DONE/usr/bin/$program' "\$@"
END
        chmod 755 "$INTO/bin/$name"
    done
    ;;
# A root directory with the C library and nothing else.
c-library)
    unpack "$INTO" libc6 libgcc-s1
    # What the package of the system's first directories would have linked.
    for dir in lib lib64; do [ -e "$INTO/$dir" ] || ln -s "usr/$dir" "$INTO/$dir"; done
    ;;
# The newest kernel: `vmlinuz`, `version`, `busybox`, and `modules/`, numbered in the order in which they are
# loaded, of what a machine needs unless it is a part of the kernel: its disk and its file system, this
# machine's files, and both in one tree.
kernel)
    unpacked=$INTO/unpacked
    package=$(apt apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-6[^ ]*\)$/\1/p')
    unpack "$unpacked" "$package" busybox-static
    version=${package#linux-image-}
    printf %s "$version" >"$INTO/version"
    mv "$unpacked/boot/vmlinuz-$version" "$INTO/vmlinuz"
    # It is in either, and modules are; kmod looks in `lib` alone.
    for dir in bin lib; do [ -e "$unpacked/$dir" ] || ln -s "usr/$dir" "$unpacked/$dir"; done
    cp "$unpacked/bin/busybox" "$INTO/busybox"
    depmod -b "$unpacked" "$version"
    for name in virtio_pci virtio_blk crc32c_generic ext4 9pnet_virtio 9p overlay; do
        modprobe -d "$unpacked" -S "$version" --show-depends "$name" || echo "builtin $name"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$INTO/list"
    mkdir "$INTO/modules"
    number=10
    while read -r file; do
        name=${file##*/}
        case $file in
        *.xz) "$INTO/busybox" xzcat "$file" ;;
        *) cat "$file" ;;
        esac >"$INTO/modules/$number-${name%.xz}"
        number=$((number + 1))
    done <"$INTO/list"
    [ $number -gt 10 ]
    rm -r "$unpacked" "$INTO/list"
    ;;
esac
