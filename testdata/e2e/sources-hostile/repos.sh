# A repository with a link where a directory is asked for, and a branch that no client makes.
set -eu
mkdir -p repos work
cd work
git init -q -b main .
git config user.email a@b; git config user.name a
mkdir real; echo inside > real/file; echo top > top
ln -s ../../../../etc link; ln -s real inner
git add .; GIT_COMMITTER_DATE=@1700000000 GIT_AUTHOR_DATE=@1700000000 git commit -q -m one
git clone -q --bare . ../repos/plain.git
git -C ../repos/plain.git update-ref refs/heads/-evil HEAD
cp -r ../repos/plain.git ../repos/private.git
printf '{"authorization": "basic eC1hY2Nlc3MtdG9rZW46aHVzaC1odXNo"}' > ../repos/private.meta
mkdir -p ../www/moved.git/info
printf '{"status": 301, "location": "%s"}' "$HTTP2/git/plain.git/info/refs?service=git-upload-pack" > ../www/moved.git/info/refs.meta
# Submodules from the disk of the builder.
git clone -q . ../sub; cd ../sub
git config user.email a@b; git config user.name a
printf '[submodule "evil"]\n\tpath = evil\n\turl = %s\n' "$PWD/../work" > .gitmodules
git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),evil
git add .gitmodules; git commit -q -m two
git clone -q --bare . ../repos/thief.git
