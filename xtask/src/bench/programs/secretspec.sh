# sizes: 1 10000
# peer: secretspec
# kept: its provider `dotenv`: values in a file, in clear text
# needs: secretspec
# version: secretspec --version
{
    printf '[project]\nname = "bench"\nrevision = "1.0"\n\n[profiles.default]\n'
    awk '{ printf "%s = { description = \"%s\", required = true }\n", $1, $1 }' secrets
} >secretspec.toml
sed 's/ /=/' secrets >.env
row "$READ" peer instructions "$VALUE" "secretspec$OF" secretspec get "$NAME" --provider dotenv
