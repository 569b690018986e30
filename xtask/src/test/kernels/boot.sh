#!/bin/sh
# Boots a kernel, by its directory $KERNEL, in an emulated machine: its first files are those of this
# directory, in which `job/` has been written. What the kernel prints goes into the file $CONSOLE, what
# the machine's first program prints to standard output.
set -eu
mkdir first
cd first
mkdir bin proc sys dev below disk root
mv ../job ../init .
chmod 755 init
cp -r "$KERNEL/modules" .
cp "$KERNEL/busybox" bin/
find . | bin/busybox cpio -o -H newc >../first.cpio
cd ..
# It is sparse: a hostile plugin makes a file of 16 GiB that has nothing in it.
truncate -s 40G disk
/sbin/mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 disk
# A comma would end a path in an option.
escaped=$(printf %s "$CONSOLE" | sed 's/,/,,/g')
# Memory: the hostile plugins take more than one GiB, and are stopped there. What takes an emulated processor
# long and changes nothing that is looked at: a fifth level of page tables, and what real processors need
# against their own faults. And all files of this machine, to be read.
exec qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -smp 2 -m 3072 -cpu max,la57=off \
    -append 'console=ttyS0 quiet panic=-1 mitigations=off' -kernel "$KERNEL/vmlinuz" -initrd first.cpio \
    -no-reboot -display none -monitor none -nic none -serial "file:$escaped" -serial stdio \
    -drive file=disk,format=raw,if=virtio,cache=unsafe -device virtio-9p-pci,fsdev=files,mount_tag=files \
    -fsdev local,id=files,path=/,security_model=none,readonly=on,multidevs=remap
