# Makes the contexts of this case.
set -eu
export GIT_AUTHOR_DATE=@1700000101 GIT_COMMITTER_DATE=@1700000101
mkdir -p www repos tree/sub empty
printf 'FROM scratch\nCOPY . /\n' > tree/Dockerfile
printf 'FROM scratch\nCOPY a /other\n' > tree/sub/Other
echo a > tree/a; echo ignored > tree/ignored; echo ignored > tree/.dockerignore
tar -C tree --owner=3 --group=4 --mtime=@1700000302 -cf context.tar .
for program in gzip bzip2 xz zstd; do $program -k -c context.tar > context.tar.$program; done
cp context.tar.gzip www/context.tgz
printf 'FROM scratch\nCOPY context /the-file\nCOPY --from=named context /named\n' > www/Alone
printf 'FROM scratch\nCOPY a /from-url\n' > www/Dockerfile.web
printf 'FROM scratch\nCOPY --from=named context /named\n' > named.Dockerfile
printf 'FROM scratch\nCOPY --from=named . /\n' > all.Dockerfile
cd tree
git init -q -b main .; git config user.email a@b; git config user.name a
git add -f .; git commit -q -m one
git clone -q --bare . ../repos/tree.git
rm -rf .git
