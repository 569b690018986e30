# What is beside the secret is another's value: only the one that is asked for is decrypted.
# sizes: 1 10000
# peer: fnox
# kept: its provider `age`: each value encrypted for an X25519 identity
# needs: fnox age-keygen
# version: fnox --version
# env: FNOX_AGE_KEY_FILE=$HOME/key
age-keygen -o key
printf 'root = true\n\n[providers]\nage = { type = "age", recipients = ["%s"] }\n\n[secrets]\n' \
    "$(age-keygen -y key)" >head
cp head fnox.toml
fnox set "$NAME" "$VALUE" --provider age
sed -n "s/^$NAME//p" fnox.toml >rest
awk 'NR == FNR { rest = $0; next } { print $1 rest }' rest secrets | cat head - >fnox.toml
row "$READ" peer instructions "$VALUE" "fnox$OF" fnox get "$NAME"
