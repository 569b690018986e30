# Of several places to keep secrets it would otherwise look for the best one.
# sizes: 1 10000
# peer: keyring (Python)
# kept: gnome-keyring on a bus of its own, unlocked and in its memory; its own work is in the time, but not among the instructions
# needs: keyring secret-tool gnome-keyring-daemon dbus-daemon
# version: pip show keyring
# env: PYTHON_KEYRING_BACKEND=keyring.backends.SecretService.Keyring
# env: XDG_RUNTIME_DIR=$HOME
# env: DBUS_SESSION_BUS_ADDRESS=unix:path=$HOME/bus
start_keyring
row "$READ" peer instructions "$VALUE" "keyring (Python)$OF" keyring get keystead "$NAME"
