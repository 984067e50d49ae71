# app.git with a branch, an annotated tag, an executable, a link and a submodule by relative URL.
set -eu
export GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000
identity() { git config user.email a@b; git config user.name a; }
mkdir -p repos work/module work/app
cd work/module
git init -q -b main .; identity
echo module > m; git add m; git commit -q -m m
git clone -q --bare . ../../repos/module.git
cd ../app
git init -q -b main .; identity
mkdir lib; echo lib > lib/l; echo main > a; printf '#!/bin/sh\n' > run; chmod 700 run; ln -s a link
printf '[submodule "sub"]\n\tpath = sub\n\turl = ../module.git\n' > .gitmodules
git add .; git update-index --add --cacheinfo 160000,$(git -C ../module rev-parse HEAD),sub
git commit -q -m one
git tag -a -m tagged v1
git checkout -q -b dev; echo dev > a; git commit -q -m two a; git checkout -q main
git clone -q --bare . ../../repos/app.git
for repository in ../../repos/*.git; do git -C $repository update-server-info; done
git rev-parse HEAD > ../../main-commit
