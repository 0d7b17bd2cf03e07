#!/bin/bash
# What only reads a database changes no byte of it and leaves nothing beside it: read-only, signed, shipped.
. "$(dirname "$0")/lib.sh"
norm='norm m=16 d=96 kind=rms dtype=fp32 add=0'
folder=$scratch/kept
mkdir "$folder"
check "tune" "$tune" --gpu cpu --problem "$norm" --db "$scratch/my.db" --budget 20s --quiet
check "ship" "$tune" export --ship --db "$scratch/my.db" --out "$folder/shipped.db"
check "keygen" "$tune" keygen --key "$scratch/key"
cp "$scratch/my.db" "$folder/readonly.db"
cp "$scratch/my.db" "$folder/signed.db"
check "sign" "$tune" sign --key "$scratch/key" --db "$folder/signed.db"
chmod 444 "$folder"/*.db
chmod 555 "$folder"
before=$(cd "$folder" && sha256sum -- *)

for name in readonly signed shipped; do
    db=$folder/$name.db
    "$tune" explain --db "$db" "$norm" >"$scratch/explained" 2>"$scratch/err"
    check "explain $name" test $? = 0
    check "... names the winner" grep -q "measured, .* us" "$scratch/explained"
    [ $name = shipped ] || check "... and all that was tried" test "$(grep -c '^  ok ' "$scratch/explained")" -gt 1
    check "report $name" "$tune" report --db "$db" --out "$scratch/$name.html" "$norm"
    check "... is a page" grep -q '</html>' "$scratch/$name.html"
    "$tune" regret --gpu cpu --db "$db" --quiet >"$scratch/out" 2>"$scratch/err" # the CPU's families estimate no costs
    check "regret $name reads it" grep -q "holds no measured problem" "$scratch/err"
done
chmod 755 "$folder"
check "no byte has changed, no file was added" test "$(cd "$folder" && sha256sum -- *)" = "$before"

printf 'not a database at all, but longer than a page\n%.0s' {1..20} >"$scratch/foreign.db"
for command in explain report; do
    "$tune" $command --db "$scratch/foreign.db" "$norm" >"$scratch/out" 2>"$scratch/err"
    check "$command of a foreign file exits 1" test $? = 1
    check "... and says why" grep -q "not an SQLite database" "$scratch/err"
done
finish
