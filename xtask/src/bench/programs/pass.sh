# A key of the kind that GnuPG makes by default; the agent is that of this home, found by its socket. What
# is beside the secret is another's value: the time goes to the one that is asked for.
# sizes: 1 10000
# peer: pass
# kept: a file a secret, for a cv25519 key without passphrase; gpg-agent runs already
# needs: pass gpg gpgconf
# version: pass --version
# end: gpgconf --kill all
printf '%s\n' %no-protection 'Key-Type: eddsa' 'Key-Curve: ed25519' 'Subkey-Type: ecdh' \
    'Subkey-Curve: cv25519' 'Name-Real: bench' 'Expire-Date: 0' %commit >key
mkdir -m 700 .gnupg
touch .gnupg/gpg.conf
gpg --batch --quiet --gen-key key
pass init bench
printf %s "$VALUE" | pass insert --multiline "$NAME"
mv ".password-store/$NAME.gpg" one
while read -r name value; do cp one ".password-store/$name.gpg"; done <secrets
row "$READ" peer instructions "$VALUE" "pass$OF" pass show "$NAME"
