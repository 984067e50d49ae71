// SPDX-License-Identifier: Apache-2.0
// Tables of changes to a small tree, each of which must or must not change the digest of a selection.
#include "cache/content/tree_digest.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <functional>

#include "cache/content/context_test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

TEST_CASE("what changes a digest") {
  struct Row {
    const char* what;
    std::function<void(int)> change;
  };
  const Row rows[] = {
      {"content", [](int d) { write_file(d, "src/lib/a.c", "A"); }},
      {"content of equal size and time",
       [](int d) {
         write_file(d, "README", "READ ME");
         set_mtime(d, "README", 1000);
       }},
      {"mode", [](int d) { ::fchmodat(d, "src/main.c", 0755, 0); }},
      {"mode of a directory", [](int d) { ::fchmodat(d, "src/lib", 0700, 0); }},
      {"setuid bit", [](int d) { ::fchmodat(d, "src/main.c", 04644, 0); }},
      {"setgid bit", [](int d) { ::fchmodat(d, "src/main.c", 02644, 0); }},
      {"setgid bit of a directory", [](int d) { ::fchmodat(d, "src/lib", 02755, 0); }},
      {"sticky bit of a directory", [](int d) { ::fchmodat(d, "src/lib", 01755, 0); }},
      {"rename", [](int d) { ::renameat(d, "src/lib/a.c", d, "src/lib/c.c"); }},
      {"added", [](int d) { write_file(d, "src/new", ""); }},
      {"removed", [](int d) { ::unlinkat(d, "README", 0); }},
      {"empty directory removed", [](int d) { ::unlinkat(d, "empty", AT_REMOVEDIR); }},
      {"link target",
       [](int d) {
         ::unlinkat(d, "link", 0);
         make_symlink(d, "README", "link");
       }},
      {"link becomes the file",
       [](int d) {
         ::unlinkat(d, "link", 0);
         write_file(d, "link", "int main;");
       }},
      {"file becomes directory",
       [](int d) {
         ::unlinkat(d, "README", 0);
         sys::mkdir_all(d, "README", 0755);
       }},
      {"xattr",
       [](int d) {
         CHECK(sys::set_xattr_at(d, "README", {"user.x", "1"}));
       }},
      {"xattr of a directory",
       [](int d) {
         CHECK(sys::set_xattr_at(d, "src", {"user.x", "1"}));
       }},
      {"a socket",
       [](int d) {
         const int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
         struct sockaddr_un address {};
         address.sun_family = AF_UNIX;
         const std::string path = sys::fd_path(d) + "/sock";
         path.copy(address.sun_path, sizeof address.sun_path - 1);
         CHECK(::bind(s, reinterpret_cast<const struct sockaddr*>(&address), sizeof address) == 0);
         ::close(s);
       }},
      {"fifo", [](int d) { ::mknodat(d, "pipe", S_IFIFO | 0644, 0); }},
      {"swapped contents",
       [](int d) {
         write_file(d, "src/lib/a.c", "b");
         write_file(d, "src/lib/b.c", "a");
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Context context;
    context.base();
    set_mtime(context.fd(), "README", 1000);
    const Digest before = context.digest(all_of());
    row.change(context.fd());
    CHECK(context.digest(all_of()) != before);
  }
}

TEST_CASE("a device's numbers and kind are its content") {
  const auto digest_with = [](mode_t kind, unsigned major, unsigned minor) -> std::optional<Digest> {
    Context context;
    if (::mknodat(context.fd(), "node", kind | 0600, makedev(major, minor)) != 0) return std::nullopt;
    return context.digest(all_of());
  };
  const auto node = digest_with(S_IFCHR, 240, 1);
  if (!node) {
    MESSAGE("skipped: device nodes cannot be made here");
    return;
  }
  CHECK(digest_with(S_IFCHR, 240, 1) == node);
  CHECK(digest_with(S_IFCHR, 240, 2) != node);
  CHECK(digest_with(S_IFCHR, 241, 1) != node);
  CHECK(digest_with(S_IFBLK, 240, 1) != node);
}

TEST_CASE("what does not change a digest") {
  struct Row {
    const char* what;
    std::function<void(int)> change;
  };
  const Row rows[] = {
      {"nothing", [](int) {}},
      {"mtime", [](int d) { set_mtime(d, "src/main.c", 12345); }},
      {"touched directory", [](int d) { set_mtime(d, "src", 12345); }},
      {"rewritten with the same bytes",
       [](int d) {
         ::unlinkat(d, "README", 0);
         write_file(d, "README", "read me");
       }},
      {"order of creation",
       [](int d) {
         sys::remove_all_at(d, "src/lib");
         write_file(d, "src/lib/b.c", "b");
         write_file(d, "src/lib/a.c", "a");
       }},
      {"mode of the root", [](int d) { ::fchmod(d, 0711); }},
      {"hard link instead of a copy",
       [](int d) {
         write_file(d, "src/lib/b.c", "b");
         ::unlinkat(d, "README", 0);
         write_file(d, "elsewhere", "read me");
         ::linkat(d, "elsewhere", d, "README", 0);
         ::unlinkat(d, "elsewhere", 0);
       }},
      {"an xattr that does not count",
       [](int d) {
         CHECK(sys::set_xattr_at(d, "README", {"trusted.x", "1"}));
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Context context;
    context.base();
    const Digest before = context.digest(all_of());
    row.change(context.fd());
    CHECK(context.digest(all_of()) == before);
  }
}

TEST_CASE("ownership counts in results, not in a context") {
  Context context;
  context.base();
  const Digest before = context.digest(all_of());
  REQUIRE(::fchownat(context.fd(), "README", 12, 34, 0) == 0);
  CHECK(context.local(all_of()) == before);
  CHECK(digest_tree(context.view(), all_of(), {}) != before);
  Selector no_owner = all_of();
  no_owner.ignore_owner = true;
  CHECK(digest_tree(context.view(), no_owner, {}) == context.local(no_owner));
}

TEST_CASE("owner and group count each by itself, of a file and of a directory") {
  for (const char* path : {"README", "src/lib"}) {
    CAPTURE(path);
    Context context;
    context.base();
    const auto digest_owned = [&](uid_t uid, gid_t gid) {
      REQUIRE(::fchownat(context.fd(), path, uid, gid, 0) == 0);
      return digest_tree(context.view(), all_of(), {});
    };
    const Digest before = digest_owned(12, 34), owner = digest_owned(13, 34), group = digest_owned(12, 35);
    CHECK(owner != before);
    CHECK(group != before);
    CHECK(owner != group);
    CHECK(digest_owned(12, 34) == before);
  }
}

TEST_CASE("ignore_mode leaves modes out") {
  Context context;
  context.base();
  Selector no_mode = all_of();
  no_mode.ignore_mode = true;
  const Digest before = context.digest(no_mode);
  ::fchmodat(context.fd(), "src/main.c", 0777, 0);
  CHECK(context.digest(no_mode) == before);
  write_file(context.fd(), "src/main.c", "other", 0777);
  CHECK(context.digest(no_mode) != before);
}

TEST_CASE("steps that take the modes and steps that set them share a context, and no digest") {
  Context context;
  context.base();
  Selector no_mode = all_of();
  no_mode.ignore_mode = true;
  const Digest with = context.local(all_of()), without = context.local(no_mode);
  CHECK(with != without);
  LocalTree first = context.local_tree(), second = context.local_tree();
  CHECK(first.digest(all_of()) == with);
  CHECK(first.digest(no_mode) == without);
  CHECK(second.digest(no_mode) == without);
  CHECK(second.digest(all_of()) == with);
}

TEST_CASE("the name of a plainly selected thing does not count, a wildcard's does") {
  Context context;
  write_file(context.fd(), "a.txt", "x");
  write_file(context.fd(), "b.md", "x");
  write_file(context.fd(), "d1/f", "y");
  write_file(context.fd(), "d2/f", "y");
  CHECK(context.digest(all_of({"a.txt"})) == context.digest(all_of({"b.md"})));
  CHECK(context.digest(all_of({"d1"})) == context.digest(all_of({"d2"})));
  CHECK(context.digest(all_of({"*.txt"})) != context.digest(all_of({"*.md"})));
  CHECK(context.digest(all_of({"d1", "a.txt"})) != context.digest(all_of({"a.txt", "d1"})));
  CHECK(context.digest(all_of({"/d1/"})) == context.digest(all_of({"./d1/."})));
  const Digest before = context.digest(all_of({"*.txt"}));
  ::renameat(context.fd(), "a.txt", context.fd(), "c.txt");
  CHECK(context.digest(all_of({"*.txt"})) != before);
}

TEST_CASE("only what is selected counts") {
  Context context;
  context.base();
  const Digest lib = context.digest(all_of({"src/lib"})), readme = context.digest(all_of({"READ*"}));
  write_file(context.fd(), "src/main.c", "changed");
  CHECK(context.digest(all_of({"src/lib"})) == lib);
  CHECK(context.digest(all_of({"READ*"})) == readme);
}

TEST_CASE("a selected symlink is followed inside the tree") {
  Context context;
  context.base();
  make_symlink(context.fd(), "/src/lib", "lib");
  make_symlink(context.fd(), "../../../../etc/passwd", "outside");
  make_symlink(context.fd(), "self", "self");
  CHECK(context.digest(all_of({"lib"})) == context.digest(all_of({"src/lib"})));
  CHECK(context.digest(all_of({"lib/a.c"})) == context.digest(all_of({"src/lib/a.c"})));
  CHECK_THROWS_AS(context.local(all_of({"outside"})), Error);
  CHECK_THROWS_AS(context.local(all_of({"self"})), Error);
}

TEST_CASE("missing paths") {
  Context context;
  context.base();
  try {
    context.local(all_of({"src/nope"}));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(std::string(error.what()).find("src/nope") != std::string::npos);
  }
  Selector optional = all_of({"src/nope"});
  optional.required = false;
  CHECK(context.digest(optional) == context.digest(all_of({"no*such"})));
  CHECK_THROWS_AS(context.local(all_of({"src/[a"})), Error);
  CHECK_THROWS_AS(LocalTree([] { return -1; }, context.path + "/none", {}), Error);
}

TEST_CASE("ignored files are not there") {
  Context context;
  context.base();
  const Digest before = context.digest(all_of(), {"*.log", "node_modules"});
  write_file(context.fd(), "x.log", "noise");
  write_file(context.fd(), "node_modules/deep/file", "noise");
  CHECK(context.digest(all_of(), {"*.log", "node_modules"}) == before);
  CHECK(context.digest(all_of(), {"*.log"}) != before);
  CHECK_THROWS_AS(context.local(all_of({"x.log"}), {"*.log"}), Error);
  CHECK(context.digest(all_of(), {"*", "!src"}) != context.digest(all_of(), {"*"}));
  CHECK_NOTHROW(context.local(all_of({"src"}), {"*", "!src/lib/a.c"}));
  const auto picked = select(context.view(), all_of({"src/lib/*"}), PathPatternList({"src", "!src/lib/a.c"}));
  REQUIRE(picked.size() == 1);
  CHECK(picked[0].path == "src/lib/a.c");
}

TEST_CASE("a negation brings back exactly what it names") {
  Context context;
  context.base();
  const Digest only_a = context.digest(all_of(), {"*", "!src/lib/a.c"});
  write_file(context.fd(), "src/lib/b.c", "changed");
  write_file(context.fd(), "README", "changed");
  CHECK(context.digest(all_of(), {"*", "!src/lib/a.c"}) == only_a);
  write_file(context.fd(), "src/lib/a.c", "changed");
  CHECK(context.digest(all_of(), {"*", "!src/lib/a.c"}) != only_a);
}

TEST_CASE("excludes are relative to what is selected") {
  Context context;
  context.base();
  Selector selection = all_of({"src"});
  selection.excludes = {"lib/*.c", "!lib/b.c"};
  const Digest before = context.digest(selection);
  write_file(context.fd(), "src/lib/a.c", "changed");
  CHECK(context.digest(selection) == before);
  write_file(context.fd(), "src/lib/b.c", "changed");
  CHECK(context.digest(selection) != before);
}

TEST_CASE("select: order, wildcards, pivots") {
  Context context;
  context.base();
  write_file(context.fd(), "x/y/z/deep.c", "d");
  const auto names = [&](Selector selection) {
    std::string out;
    for (const Selected& one : select(context.view(), selection, {})) out += one.path + "=" + one.as + " ";
    return out;
  };
  CHECK(names(all_of({"src/lib/*.c", "README"})) == "src/lib/a.c=src/lib/a.c src/lib/b.c=src/lib/b.c README=README ");
  CHECK(names(all_of({"link"})) == "src/main.c=link ");
  CHECK(names(all_of({"*/lib/[ab].c"})) == "src/lib/a.c=src/lib/a.c src/lib/b.c=src/lib/b.c ");
  CHECK(names(all_of({"."})) == "= ");
  Selector parents = all_of({"src/./lib/a.c", "**/deep.c", "x/./y/*/*.c"});
  parents.parents = true;
  CHECK(names(parents) == "src/lib/a.c=src/./lib/a.c x/y/z/deep.c=x/y/z/deep.c x/y/z/deep.c=x/./y/z/deep.c ");
}

TEST_CASE("select: wildcards before a pivot") {
  Context context;
  for (const char* file : {"t/k1/m/q", "t/k2/m/q", "t/k2/m/n/q", "t/k3/other", "t/kf", "real/m/q"})
    write_file(context.fd(), file, file);
  REQUIRE(::symlinkat("../real", context.fd(), "t/kl") == 0);
  const auto names = [&](const std::string& path) {
    std::string out;
    Selector selection = all_of({path});
    selection.parents = true;
    for (const Selected& one : select(context.view(), selection, {})) {
      const bool alone = one.kind == Selected::Kind::pivot_alone;
      out += cat(one.path, "=", one.as, alone ? " alone" : one.kind == Selected::Kind::plain ? " plain" : "", "\n");
    }
    return out;
  };
  CHECK(names("t/k[12]/./m") == "t/k1/m=t/k1/./m\nt/k2/m=t/k2/./m\n");
  CHECK(names("t/k*/./m/**/q") ==
        "t/k1/m/q=t/k1/./m/q\nt/k2/m/n/q=t/k2/./m/n/q\nt/k2/m/q=t/k2/./m/q\nt/k3=t/k3/./ alone\n"
        "t/kf=t/kf plain\nreal/m/q=t/kl/./m/q\n");
  CHECK(names("t/k*/m/n/./q") == "t/k2/m/n/q=t/k2/m/n/./q\n");
  CHECK(names("t/k1/./*.none") == "t/k1=t/k1/./ alone\n");
  CHECK(names("*.none") == "= alone\n");
  CHECK(names("none*/./m") == "");
  CHECK_THROWS_WITH(names("none/./m*"), "\"/none\": not found");
  CHECK_THROWS_WITH(names("t/k1/./none"), "\"/t/k1/none\": not found");
}

TEST_CASE("with parents, links behind the pivot are taken as links, and lead nowhere") {
  Context context;
  write_file(context.fd(), "t/real/b", "1");
  write_file(context.fd(), "t/k/m", "2");
  REQUIRE(::symlinkat("../real", context.fd(), "t/k/lm") == 0);
  REQUIRE(::symlinkat("none", context.fd(), "t/k/ln") == 0);
  REQUIRE(::symlinkat("k", context.fd(), "t/kl") == 0);
  const auto names = [&](const std::string& asked) {
    Selector selection = all_of({asked});
    selection.parents = true;
    std::string out;
    for (const Selected& one : select(context.view(), selection, {})) out += cat(one.path, "=", one.as, " ");
    return out;
  };
  CHECK(names("t/k/./l*") == "t/k/lm=t/k/./lm t/k/ln=t/k/./ln ");
  CHECK(names("t/k/./lm") == "t/k/lm=t/k/./lm ");
  CHECK(names("t/k/ln") == "t/k/ln=t/k/ln ");
  CHECK(names("t/kl/./lm") == "t/k/lm=t/kl/./lm ");  // before it they are followed
  CHECK(names("t/k*/./lm") == "t/k/lm=t/k/./lm t/k/lm=t/kl/./lm ");
  CHECK_THROWS_WITH(names("t/k/./lm/b"), "\"/t/k/lm/b\": not found");
  CHECK_THROWS_WITH(names("t/k/lm/b"), "\"/t/k/lm/b\": not found");

  Selector selection = all_of({"t/k/./l*"});
  selection.parents = true;
  const Digest before = context.digest(selection);
  write_file(context.fd(), "t/real/b", "changed");
  CHECK(context.digest(selection) == before);
  REQUIRE(::unlinkat(context.fd(), "t/k/lm", 0) == 0);
  REQUIRE(::symlinkat("../other", context.fd(), "t/k/lm") == 0);
  CHECK(context.digest(selection) != before);
}

TEST_CASE("with parents, what lies next to the pivots does not count, and the pivots themselves do") {
  Context context;
  write_file(context.fd(), "t/k1/m/q", "1");
  write_file(context.fd(), "t/k3/other", "3");
  REQUIRE(::symlinkat("k1", context.fd(), "t/kl") == 0);
  Selector selection = all_of({"t/k*/./m/q"});
  selection.parents = true;
  const Digest before = context.digest(selection);
  write_file(context.fd(), "t/k3/other", "changed");
  CHECK(context.digest(selection) == before);
  write_file(context.fd(), "t/k4/other", "4");
  CHECK(context.digest(selection) != before);
}

TEST_CASE("with parents, the directories on the way count") {
  Context context;
  context.base();
  Selector selection = all_of({"src/lib/a.c"});
  selection.parents = true;
  const Digest before = context.digest(selection);
  write_file(context.fd(), "src/lib/b.c", "other");
  CHECK(context.digest(selection) == before);
  ::fchmodat(context.fd(), "src", 0700, 0);
  CHECK(context.digest(selection) != before);
}

TEST_CASE("the explanation names what changed") {
  Context context;
  context.base();
  std::vector<KeyPart> before, after;
  context.local(all_of(), {}, &before);
  write_file(context.fd(), "src/lib/a.c", "changed");
  context.local(all_of(), {}, &after);
  REQUIRE(before.size() == after.size());
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(before[i].label == after[i].label);
    const bool listed = after[i].value.find(" open ") != std::string::npos;  // a directory with all its entries
    if (before[i] != after[i] && !listed) changed.push_back(before[i].label);
  }
  CHECK(changed == std::vector<std::string>{"src/lib/a.c"});
  const auto line = [&](std::string_view label) {
    const auto found =
        std::find_if(after.begin(), after.end(), [&](const KeyPart& part) { return part.label == label; });
    return found == after.end() ? std::string("absent") : found->value;
  };
  CHECK(line("src/lib/a.c") == cat("file 0644 0:0 size=7 ", sha256("changed").str().substr(0, 39)));
  CHECK(line("src/lib").starts_with("directory 0755 0:0 open sha256:"));
  ::fchmodat(context.fd(), "src/lib/a.c", 0600, 0);
  after.clear();
  context.local(all_of(), {}, &after);
  CHECK(line("src/lib/a.c") == cat("file 0600 0:0 size=7 ", sha256("changed").str().substr(0, 39)));
  Selector no_mode = all_of();
  no_mode.ignore_mode = no_mode.ignore_owner = true;
  after.clear();
  context.local(no_mode, {}, &after);
  CHECK(line("src/lib/a.c") == cat("file - - size=7 ", sha256("changed").str().substr(0, 39)));
}

TEST_CASE("an explanation has an end: of a huge directory only the digest is told") {
  Context context;
  context.base();
  for (int i = 0; i < 2100; ++i) write_file(context.fd(), cat("many/f", i), "x");
  std::vector<KeyPart> parts;
  context.local(all_of(), {}, &parts);
  CHECK(parts.size() < 100);
  const auto many = std::find_if(parts.begin(), parts.end(), [](const KeyPart& part) { return part.label == "many"; });
  REQUIRE(many != parts.end());
  CHECK(many->value.starts_with("directory 0755 0:0 sha256:"));
}

TEST_CASE("a layered tree and a context with the same content agree") {
  Context context;
  context.base();
  std::vector<UniqueFd> layers;
  const TempDir lower = TempDir::in_tmp("cbuild-digest-"), upper = TempDir::in_tmp("cbuild-digest-");
  write_file(lower.fd(), "src/lib/a.c", "old");
  write_file(lower.fd(), "src/lib/b.c", "b");
  write_file(lower.fd(), "gone", "gone");
  write_file(lower.fd(), "src/main.c", "int main;");
  write_file(upper.fd(), "src/lib/a.c", "a");
  write_file(upper.fd(), "README", "read me");
  make_whiteout(upper.fd(), "gone");
  make_symlink(upper.fd(), "src/main.c", "link");
  sys::mkdir_all(upper.fd(), "empty", 0755);
  layers.push_back(sys::open_at(upper.fd(), ".", O_PATH));
  layers.push_back(sys::open_at(lower.fd(), ".", O_PATH));
  const TreeView merged(std::move(layers), true);
  for (const char* path : {"", "src", "src/lib", "README", "link", "s*"}) {
    CAPTURE(path);
    CHECK(digest_tree(merged, all_of({path}), {}) == context.digest(all_of({path})));
  }
}
