set -eu
export GIT_AUTHOR_DATE=@1700000101 GIT_COMMITTER_DATE=@1700000101
mkdir -p www repos tree
printf 'FROM scratch\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nENV EPOCH=$SOURCE_DATE_EPOCH\n' > tree/Dockerfile
touch -d @1700000302 tree/Dockerfile
tar -C tree -cf www/context.tar .
cp www/context.tar www/dated.tar
printf '{"last_modified": "Tue, 14 Nov 2023 22:16:41 GMT"}' > www/dated.tar.meta
cd tree
git init -q -b main .; git config user.email a@b; git config user.name a
git add .; git commit -q -m one
git clone -q --bare . ../repos/tree.git
rm -rf .git
cd ..
printf 'ARG SOURCE_DATE_EPOCH=mysource\nARG HTTP\nFROM scratch AS mysource\nADD $HTTP/context.tar /\nFROM scratch\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nENV EPOCH=$SOURCE_DATE_EPOCH\n' > stage.Dockerfile
printf 'ARG SOURCE_DATE_EPOCH=mysource\nFROM scratch\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nENV EPOCH=$SOURCE_DATE_EPOCH\n' > named.Dockerfile
printf 'ARG SOURCE_DATE_EPOCH=mysource\nFROM scratch AS mysource\nCOPY tree /\nFROM scratch\n' > wrong.Dockerfile
