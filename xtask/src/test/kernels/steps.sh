# The steps of the test, in a machine that `init.sh` made; each between two lines that tell the host.
. /opt/keystead/job/variables
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
own=/home/keystead-test

step() {
    name=$1
    shift
    echo "@@ begin $name"
    ("$@")
    printf '\n@@ end %s %s\n' "$name" $?
}

kernel() {
    uname -r
    tr ',' '\n' </sys/kernel/security/lsm
}

doctor() {
    env -i HOME=$own PATH=$PATH COLUMNS=100 /opt/keystead/bin/keystead doctor
}

# Makes a folder that is this user's alone, and runs something as this user.
as() {
    user=$1
    shift
    mkdir -p "$own/$user" && chown "$user:$user" "$own/$user"
    env -i HOME="$own/$user" PATH=$PATH setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}

tests() {
    cd "$HOST" || exit 1
    file=$1
    shift
    # As many threads as there are processors, and a folder for what the compiler leaves.
    TMPDIR="$TARGET/tmp" HOME=$own RUST_BACKTRACE=0 "$TARGET/$file" --color never "$@"
}

step kernel kernel
step doctor doctor
step root as 0 /bin/sh /opt/keystead/job/main_job.sh
step user as 1000 /bin/sh /opt/keystead/job/main_job.sh
for one in $TESTS; do
    case $one in
    */main-*) integration=$one ;;
    *) unit=$one ;;
    esac
done
# Those of the runner that are about the kernel: none that has a clock, or that takes minutes here.
step runner tests "$unit" platform::linux::sandbox platform::linux::memfd plugin::runner::tests::cage \
    plugin::runner::socket plugin::runner::process
step grants tests "$integration" boundary::cage --skip needs_
export KEYSTEAD_TEST_ROUNDS_OF=100 KEYSTEAD_TEST_AMPLE=300
step zoo tests "$integration" boundary::zoo --skip boundary::zoo::rounds \
    --skip boundary::zoo::page --skip needs_
step rounds tests "$integration" boundary::zoo::rounds
