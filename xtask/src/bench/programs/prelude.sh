# What every script of this directory may call. A script makes a program hold the secrets of the file
# `secrets`, one `NAME VALUE` a line, $COUNT of them ($SHOWN, for people), and names the commands that are
# measured then. $NAME is the secret that is read, $VALUE its value, $READ the table of the read, $OF what
# is behind its name there, $PORT a port that was free a moment ago, $PLUGIN a plugin's file.
set -eu

# A server may take two minutes until it answers, with 10,000 secrets to read first.
wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { echo "no answer: $*" >&2; exit 1; }
        sleep 0.1
    done
}

# A command to be measured, of words without a space: its table; whose it is; what is found out beside
# the time, or `once` where it cannot be repeated, or `-`; what it must answer, or `-`; its name.
BEFORE=-
row() {
    printf '%s\t%s\t%s\t%s\t%s\t%s\t' "$1" "$2" "$3" "$4" "$BEFORE" "$5" >>rows
    shift 5
    echo "$*" >>rows
}

register() {
    vault=$1 placement=$2
    shift 2
    parameters=
    for parameter; do parameters="$parameters --param $parameter"; done
    keystead vault register "$vault" --plugin "$kind" --placement "$placement" $parameters
}

# Vaults of one of our plugins: its id and kind; parameters of a vault that opens without a prompt, and of
# one that asks for a password (or none); how many secrets are imported at most, and listed.
own() {
    id=$1 kind=$2 open=$3 asking=$4 largest=$5 listed=$6
    own=$id-$COUNT-in-process isolated=$id-$COUNT-isolated
    awk '{ printf "{\"schema\":1,\"name\":\"%s\",\"kind\":\"text\",\"value\":{\"text\":\"%s\"}}\n", $1, $2 }' \
        secrets >"$COUNT.jsonl"
    register "$own" in-process $open
    register "$isolated" isolated $open
    import="keystead import $COUNT.jsonl --vault $own --yes"
    if [ "$COUNT" = "$largest" ]; then
        row bulk ours once - "keystead import of $SHOWN, $id" "$import"
    else
        $import
    fi
    row "$READ" ours instructions "$VALUE" "keystead get, $id, in-process$OF" keystead get "$NAME" --vault "$own"
    # A sandbox keeps valgrind from its own files and calls.
    row "$READ" ours - "$VALUE" "keystead get, $id, isolated$OF" keystead get "$NAME" --vault "$isolated"
    if [ "$COUNT" = "$listed" ]; then
        row bulk ours memory - "keystead list of $SHOWN, $id" keystead list --vault "$own"
    fi
    if [ "$COUNT" != 1 ] || [ -n "${GATE:-}" ]; then return; fi

    if [ -n "$asking" ]; then
        session=$id-session answer="password=file:$HOME/password"
        echo 'correct horse battery staple' >password
        register "$session" in-process $asking
        keystead import "$COUNT.jsonl" --vault "$session" --yes --unlock "$answer"
        keystead vault unlock "$session" --for 8h --unlock "$answer"
        row one ours instructions "$VALUE" "keystead get, $id, by an agent's session" \
            keystead get "$NAME" --vault "$session"
    fi
    BEFORE='rm -rf .local/share/keystead/verdicts'
    row one ours instructions "$VALUE" "keystead get, $id, plugin file never seen" \
        keystead get "$NAME" --vault "$own"
    BEFORE=-
    printf %s "$VALUE" >value
    row write ours instructions - "keystead set, $id, in-process" keystead set written --vault "$own" --file value
}

# A keyring on a bus of its own, which starts no service by itself. The keyring's file is as it writes it
# itself where it has no password: adding 10,000 secrets one by one would write 10,000 files, each larger
# than the last.
start_keyring() {
    mkdir -p .local/share/keyrings
    {
        printf '[keyring]\ndisplay-name=bench\nctime=0\nmtime=0\n'
        awk '{
            printf "\n[%d]\nitem-type=0\ndisplay-name=%s\nsecret=%s\nmtime=0\nctime=0\n", NR, $1, $2
            printf "\n[%d:attribute0]\nname=service\ntype=string\nvalue=keystead\n", NR
            printf "\n[%d:attribute1]\nname=username\ntype=string\nvalue=%s\n", NR, $1
        }' secrets
    } >.local/share/keyrings/bench.keyring
    printf bench >.local/share/keyrings/default
    cat >bus.conf <<END
<busconfig><type>session</type><listen>unix:path=$HOME/bus</listen><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
END
    dbus-daemon --nofork --nopidfile --config-file=bus.conf &
    wait_for test -S bus
    printf password | gnome-keyring-daemon --foreground --unlock --components=secrets &
    wait_for secret-tool lookup service keystead username "$NAME"
}
