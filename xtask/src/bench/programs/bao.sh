# The real server in development mode, and its own client; our client of it; and `curl`, which does nothing
# but ask. The secrets go over one connection of curl's.
# sizes: 1 10000
# peer: bao
# kept: a development server beside it, without TLS, in memory; its own work is in the time, but not among the instructions
# needs: bao curl
# version: bao version
# env: BAO_ADDR=http://127.0.0.1:$PORT
# env: BAO_TOKEN=root
bao server -dev -dev-root-token-id=root -dev-no-store-token "-dev-listen-address=127.0.0.1:$PORT" >server.log 2>&1 &
wait_for bao kv put -mount=secret SECRET_PROBE value=value
echo 'X-Vault-Token: root' >header
awk '{
    if (NR > 1) print "next"
    printf "silent\nfail\noutput = /dev/null\nheader = @header\n"
    printf "url = %s/v1/secret/data/%s\n", ENVIRON["BAO_ADDR"], $1
    printf "data = \"{\\\"data\\\":{\\\"value\\\":\\\"%s\\\"}}\"\n", $2
}' secrets >requests
curl --config requests
for placement in in-process isolated; do
    keystead vault register $placement --plugin hashicorp --placement $placement \
        --param "address=$BAO_ADDR" --param token=env:BAO_TOKEN
done
row "$READ" peer instructions "$VALUE" "bao$OF" bao kv get -field=value -mount=secret "$NAME"
row "$READ" ours instructions "$VALUE" "keystead get, hashicorp, in-process$OF" keystead get "$NAME" --vault in-process
row "$READ" ours - "$VALUE" "keystead get, hashicorp, isolated$OF" keystead get "$NAME" --vault isolated
row "$READ" peer instructions - "curl of OpenBao$OF" curl --silent --header @header "$BAO_ADDR/v1/secret/data/$NAME"
