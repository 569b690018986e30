# sizes: 1 10000
# peer: keepassxc-cli
# kept: a database as `keepassxc-cli import` makes it (AES-KDF, 1,000,000 rounds), with a key file and no password
# needs: keepassxc-cli
# version: keepassxc-cli --version
{
    printf '<?xml version="1.0" encoding="UTF-8"?><KeePassFile><Meta/><Root><Group>'
    printf '<UUID>AAAAAAAAAAAAAAAAAAAAAQ==</UUID><Name>Root</Name>'
    awk '{
        printf "<Entry><String><Key>Title</Key><Value>%s</Value></String>", $1
        printf "<String><Key>Password</Key><Value ProtectInMemory=\"True\">%s</Value></String></Entry>", $2
    }' secrets
    printf '</Group></Root></KeePassFile>'
} >all.xml
printf 'a file of any bytes opens it' >key
keepassxc-cli import -q --set-key-file key all.xml db.kdbx
row "$READ" peer instructions "$VALUE" "keepassxc-cli$OF" \
    keepassxc-cli show -q --no-password -k key -s -a Password db.kdbx "$NAME"
