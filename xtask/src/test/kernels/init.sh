#!/bin/busybox sh
# The first program of a machine that `cargo xtask test kernels` boots: this machine's
# files, with a disk of their own over them for what is written, and the steps of the test in them.
# It speaks on the second serial line; the kernel has the first.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys
exec >/dev/ttyS1 2>&1
for module in /modules/*; do
    insmod "$module" || echo "cannot load $module"
done
mount -t securityfs security /sys/kernel/security
mount -t 9p -o trans=virtio,ro,cache=loose,msize=512000 files /below
mount -t ext4 /dev/vda /disk
mkdir /disk/upper /disk/work
mount -t overlay -o lowerdir=/below,upperdir=/disk/upper,workdir=/disk/work overlay /root
for folder in dev proc sys; do mount --rbind /$folder /root/$folder; done
mkdir -p /dev/shm /dev/pts && mount -t tmpfs shm /dev/shm && mount -t devpts pts /dev/pts
ip link set lo up
. /job/variables
# What is built lies on the disk itself, as it would: of other file systems a host trusts less.
mkdir -p /disk/target/tmp /disk/target/debug/deps /disk/user
for file in debug/keystead $LIBRARIES $TESTS; do
    cp -p "/root$TARGET/$file" "/disk/target/$file"
done
mount --bind /disk/target "/root$TARGET"
# The way to it, which tests go as another user as well.
way=$TARGET
while [ "$way" != / ]; do
    chmod a+x "/root$way"
    way=$(dirname "$way")
done
mkdir -p /root/home/keystead-test && mount --bind /disk/user /root/home/keystead-test
for folder in bin plugins; do mkdir -p /root/opt/keystead/$folder; done
cp -r /job /root/opt/keystead/job
cp /disk/target/debug/keystead /root/opt/keystead/bin/
cp /disk/target/debug/*.so /root/opt/keystead/plugins/
chroot /root /bin/sh /opt/keystead/job/steps.sh
echo "@@ off"
sync
poweroff -f
