# A vault is a place that holds secrets. The local one is an encrypted file; here a key file opens it.
keystead vault register tour --plugin store --param path="$HOME/tour" --param key-file="$HOME/tour.key"

# A value comes from standard input or a file, never from the command line.
printf 'correct horse' | keystead set greeting --stdin

# Reading gives exactly the bytes.
test "$(keystead get greeting)" = 'correct horse'

# Listing shows names, never values.
keystead list | grep greeting

# Removing a secret.
keystead remove greeting

# A secret that is not there is exit code 3.
keystead get greeting || test $? = 3

# Unregistering leaves the vault's own file alone.
keystead vault unregister tour
test -f "$HOME/tour/store.db"
