# A file a secret: how many files there are makes no difference.
# sizes: 1
# peer: age
# kept: one file, encrypted for an X25519 identity that lies in a file
# needs: age age-keygen
# version: age --version
age-keygen -o key
printf %s "$VALUE" | age -r "$(age-keygen -y key)" -o secret.age
row "$READ" peer instructions "$VALUE" age age -d -i key secret.age
