# It does not print its version.
# sizes: 1 10000
# peer: secret-tool
# kept: gnome-keyring on a bus of its own, unlocked and in its memory; its own work is in the time, but not among the instructions
# needs: secret-tool gnome-keyring-daemon dbus-daemon
# version: dpkg-query -W -f ${Version} libsecret-tools
# env: XDG_RUNTIME_DIR=$HOME
# env: DBUS_SESSION_BUS_ADDRESS=unix:path=$HOME/bus
start_keyring
row "$READ" peer instructions "$VALUE" "secret-tool$OF" secret-tool lookup service keystead username "$NAME"
