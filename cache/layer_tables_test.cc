// SPDX-License-Identifier: Apache-2.0
// Views whose layers are tables show what views of the unpacked trees show, and need the trees for content only.
#include "cache/layer_tables.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>

#include "cache/claimed_layer.h"
#include "cache/content/layer_dir.h"
#include "cache/content/tree_digest.h"
#include "cache/lazy_view.h"
#include "cache/packer.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "oci/layer/table_recorder.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

using Fill = std::function<void(int)>;

/// An image that was made in one store and is a base in another, which knows its manifest and nothing else.
struct LazyBase {
  explicit LazyBase(const std::vector<Fill>& fills) {
    Digest made;
    for (const Fill& fill : fills) made = add_layer(origin, made, fill).id;
    for (Layer layer : Packer(origin, {}).finish(made)) {
      layer.fetch_from = "docker-image://base.test/base:1";
      layer.has_tree = layer.has_blob = false;
      layer.id = add_claimed_layer(store, layer);
      chain = store.extend(chain, layer.id, {}).id;
      layers.push_back(layer.id);
    }
  }
  BlobAccess access() {
    return {.fetch = [this](const Layer& layer, oci::BlobStore& into) {
      ++fetched;
      oci::put_blob(into, oci::read_blob(origin.blobs(), layer.blob->digest), layer.blob->media_type);
    }};
  }
  TreeView view(Missing missing = Missing::make_tables) { return open_lazy_view(store, chain, access(), missing); }
  std::size_t trees() {
    std::size_t count = 0;
    for (const Digest& layer : layers) count += store.layer(layer)->has_tree ? 1 : 0;
    return count;
  }
  void forget_blobs() {
    for (const Digest& layer : layers) store.forget_blob(store.layer(layer)->blob->digest);
  }

  TempStore origin_temp, temp;
  Store origin{origin_temp.options()}, store{temp.options()};
  std::vector<Digest> layers;  ///< bottom first
  Digest chain;
  unsigned fetched = 0;
};

std::string octal(mode_t mode) {
  std::string out;
  for (int shift = 15; shift >= 0; shift -= 3) out += static_cast<char>('0' + (mode >> shift & 7));
  return out;
}

/// All that readers of a view can tell, but no content.
class Description {
 public:
  explicit Description(const TreeView& view) : view_(view) { add("", *view.lookup("")); }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void add(const std::string& path, const TreeView::Entry& entry) {
    const struct stat& st = entry.st;
    std::string line = cat(path, ' ', octal(st.st_mode), ' ', st.st_uid, ':', st.st_gid, " layer ", entry.layer);
    if (!path.empty()) line += cat(" at ", st.st_mtim.tv_sec, '.', st.st_mtim.tv_nsec);
    if (S_ISREG(st.st_mode)) line += cat(" size ", st.st_size, " links ", st.st_nlink);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) line += cat(" device ", st.st_rdev);
    if (S_ISLNK(st.st_mode)) line += cat(" -> ", view_.read_link(path));
    for (const sys::Xattr& xattr : view_.xattrs(path)) line += cat(" [", xattr.name, '=', xattr.value, ']');
    if (S_ISREG(st.st_mode) && st.st_nlink > 1) {
      const auto [first, fresh] = links_.try_emplace({entry.layer, st.st_dev, st.st_ino}, path);
      if (!fresh) line += cat(" = ", first->second);
    }
    const auto again = view_.lookup(path);
    CHECK(again->st.st_mode == st.st_mode);
    CHECK(again->layer == entry.layer);
    lines_.push_back(line);
    if (!S_ISDIR(st.st_mode)) return;
    for (const TreeView::Entry& child : view_.list(path)) add(child_path(path, child.name), child);
  }

  const TreeView& view_;
  std::vector<std::string> lines_;
  std::map<std::tuple<std::size_t, dev_t, ino_t>, std::string> links_;
};

void make_odd_layer(int tree) {
  write_file(tree, "etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:7:8::/:/bin/sh\n");
  write_file(tree, "etc/empty", "");
  write_file(tree, "bin/su", "elf", 04755);
  ::fchownat(tree, "bin/su", 12, 34, 0);
  ::fchmodat(tree, "bin/su", 04755, 0);
  write_file(tree, "dir/one", "1");
  write_file(tree, "dir/two", "22");
  write_file(tree, "dir/gone", "gone");
  ::linkat(tree, "dir/one", tree, "dir/same", 0);
  ::linkat(tree, "dir/two", tree, "other-two", 0);
  make_symlink(tree, "dir", "link");
  make_symlink(tree, "/etc/passwd", "dir/absolute");
  make_symlink(tree, "loop", "loop");
  ::mkfifoat(tree, "fifo", 0640);
  ::mknodat(tree, "null", S_IFCHR | 0666, makedev(1, 3));
  sys::set_xattr_at(tree, "dir/two", {"user.note", "kept"});
  sys::mkdir_all(tree, "sticky", 0755);
  ::fchmodat(tree, "sticky", 01777, 0);
  write_file(tree, "hidden/below", "never seen");
}

void make_upper_layer(int tree) {
  make_whiteout(tree, "dir/gone");
  write_file(tree, "dir/three", "333");
  write_file(tree, "other-two", "replaced");
  make_opaque(tree, "hidden");
  write_file(tree, "hidden/above", "seen");
  sys::mkdir_all(tree, "fifo", 0700);  // was something else
}

std::vector<Fill> odd_image() { return {make_odd_layer, make_upper_layer}; }

Digest digest_of_all(const TreeView& view, std::vector<KeyPart>* parts = nullptr) {
  const Selector all{.paths = {""}};
  static const PathPatternList kNothing;
  return digest_tree(view, all, kNothing, parts);
}

}  // namespace

TEST_CASE("a view by tables is that of the trees, and is made without any") {
  LazyBase base(odd_image());
  const Description tables(base.view());
  CHECK(base.trees() == 0);
  CHECK(base.fetched == 2);
  materialize(base.store, base.chain, base.access().fetch, nullptr, nullptr);
  REQUIRE(base.trees() == 2);
  CHECK(base.fetched == 2);
  const Description trees(open_view(base.store, base.chain));
  CHECK(tables.lines().size() == 20);
  CHECK(tables.lines() == trees.lines());
}

TEST_CASE("names lead the same ways in tables and trees") {
  LazyBase base(odd_image());
  const TreeView by_table = base.view();
  std::vector<std::string> found;
  const auto look = [&](const TreeView& view) {
    std::vector<std::string> out;
    for (const char* path : {"link/one", "link/absolute", "dir/../link/three", "nothing", "dir/one/below",
                             "hidden/below", "hidden/above", "dir/gone", "fifo", "etc/", "/"}) {
      out.push_back(cat(path, " => ", view.resolve(path).value_or("nothing")));
      out.push_back(cat(path, " => ", view.resolve_for_create(path)));
    }
    return out;
  };
  found = look(by_table);
  CHECK_THROWS_AS((void)by_table.resolve("loop"), Error);
  CHECK_THROWS_AS((void)by_table.list("dir/one"), Error);
  CHECK_THROWS_AS((void)by_table.open("nothing", O_RDONLY), Error);
  CHECK_THROWS_AS((void)by_table.read_link("dir/one"), Error);
  CHECK(base.trees() == 0);
  CHECK(found == look(base.view(Missing::make_trees)));  // by tables, which are there now
  CHECK(base.trees() == 0);
  materialize(base.store, base.chain, base.access().fetch, nullptr, nullptr);
  CHECK(found == look(open_view(base.store, base.chain)));
}

TEST_CASE("what is opened brings the tree of its layer and of no other") {
  LazyBase base(odd_image());
  const TreeView view = base.view();
  CHECK(view.read_file("dir/three", 100) == "333");
  CHECK(base.trees() == 1);
  CHECK(base.store.layer(base.layers[1])->has_tree);
  CHECK(view.read_file("link/two", 100) == "22");
  CHECK(sys::read_all(view.open("bin/su", O_RDONLY).get(), 100) == "elf");
  CHECK(base.trees() == 2);
  CHECK(base.fetched == 2);
}

TEST_CASE("users of a base are known without its tree") {
  LazyBase base(odd_image());
  CHECK(base.view().read_file("etc/passwd", 1000)->find("user:x:7:8") != std::string::npos);
  CHECK(base.view().read_file("dir/absolute", 1000)->find("user:x:7:8") != std::string::npos);
  CHECK(base.trees() == 0);
  Store next(base.temp.options());
  const TreeView view = open_lazy_view(next, base.chain, base.access(), Missing::make_tables);
  CHECK(view.read_file("etc/passwd", 1000)->find("user:x:7:8") != std::string::npos);
  CHECK(base.trees() == 0);
}

TEST_CASE("a table outlives its blob, in this process and in the next") {
  LazyBase base(odd_image());
  const auto before = Description(base.view()).lines();
  base.forget_blobs();
  CHECK(Description(base.view()).lines() == before);
  Store next(base.temp.options());
  const BlobAccess none;
  CHECK(Description(open_lazy_view(next, base.chain, none, Missing::make_trees)).lines() == before);
  CHECK(base.fetched == 2);
}

TEST_CASE("a table that is damaged or gone is made again") {
  LazyBase base(odd_image());
  const auto before = Description(base.view()).lines();
  const Layer layer = *base.store.layer(base.layers[0]);
  const auto blob = layer_table_blob(base.store, layer);
  REQUIRE(blob);
  const std::string path = cat("blobs/sha256/", blob->digest.hex());
  std::string bytes = sys::read_file_at(base.store.root_fd(), path, 1 << 20);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  sys::write_file_at(base.store.root_fd(), path, bytes);
  {
    Store next(base.temp.options());
    CHECK(find_layer_table(next, layer) == nullptr);
    CHECK(Description(open_lazy_view(next, base.chain, base.access(), Missing::make_tables)).lines() == before);
    CHECK(find_layer_table(next, layer) != nullptr);
  }
  note_layer_table(base.store, layer, {.digest = digest_of("not there"), .size = 3});
  Store next(base.temp.options());
  CHECK(find_layer_table(next, layer) == nullptr);
  CHECK(Description(open_lazy_view(next, base.chain, base.access(), Missing::make_tables)).lines() == before);
}

TEST_CASE("the table of another layer is not taken, and neither is a claim that is wrong") {
  LazyBase base(odd_image());
  Layer upper = *base.store.layer(base.layers[1]);
  const auto lower_table = make_layer_table(base.store, base.layers[0], base.access());
  REQUIRE(lower_table);
  note_layer_table(base.store, upper, *layer_table_blob(base.store, *base.store.layer(base.layers[0])));
  CHECK(find_layer_table(base.store, upper) == nullptr);

  Layer lie = *base.store.layer(base.layers[0]);
  lie.diff_id = upper.diff_id;
  const Digest id = add_claimed_layer(base.store, lie);
  CHECK(find_layer_table(base.store, *base.store.layer(id)) == nullptr);
  const Layer lying = *base.store.layer(id);
  CHECK_THROWS_AS((void)make_layer_table(base.store, id, base.access()), Error);
  CHECK(find_layer_table(base.store, lying) == nullptr);
}

TEST_CASE("digests by tables and by trees are the same, in either order") {
  std::vector<KeyPart> parts, tree_parts;
  LazyBase first(odd_image());
  const Digest by_table = digest_of_all(first.view(), &parts);  // brings the trees for what it has to read
  materialize(first.store, first.chain, first.access().fetch, nullptr, nullptr);
  CHECK(digest_of_all(open_view(first.store, first.chain), &tree_parts) == by_table);
  CHECK(parts == tree_parts);
  LazyBase second(odd_image());
  materialize(second.store, second.chain, second.access().fetch, nullptr, nullptr);
  CHECK(digest_of_all(open_view(second.store, second.chain)) == by_table);
}

TEST_CASE("a table that knows its files' digests needs no tree for a digest") {
  LazyBase base(odd_image());
  for (const Digest& id : base.layers) {
    const Layer layer = *base.store.layer(id);
    base.access().fetch(layer, base.store.blobs());
    oci::layer::PassOptions pass;
    pass.expected = &*layer.blob;
    pass.expected_diff_id = &layer.diff_id;
    const UniqueFd blob = base.store.blobs().open(layer.blob->digest);
    keep_layer_table(base.store, layer,
                     std::make_shared<const KeptTable>(
                         KeptTable{oci::layer::read_table(blob.get(), {.content_digests = true}, pass), {}}));
  }
  const Digest by_table = digest_of_all(base.view());
  CHECK(base.trees() == 0);
  materialize(base.store, base.chain, nullptr, nullptr, nullptr);
  CHECK(digest_of_all(open_view(base.store, base.chain)) == by_table);
}

namespace {

/// A layer with a table of its own, which gives files of a directory.
struct FakeParts final : PartialLayer {
  FakeParts(Store& from, const Layer& layer) {
    auto kept = std::make_shared<KeptTable>();
    kept->table = oci::layer::read_table(from.blobs().open(layer.blob->digest).get(), {.content_digests = true}, {});
    told = kept;
    kept_ = kept;
  }
  const SharedTable& table() const override { return kept_; }
  std::shared_ptr<const LayerTree> bring(const std::vector<std::string>& paths) override {
    asked.push_back(paths);
    if (refuses) return nullptr;
    for (const std::string& path : paths) {
      if (const auto slash = path.rfind('/'); slash != std::string::npos)
        sys::mkdir_all(dir.fd(), path.substr(0, slash), 0755);
      sys::write_file_at(dir.fd(), path, cat("part ", path));
    }
    return std::make_shared<const LayerDir>(sys::open_at(dir.fd(), ".", O_RDONLY | O_DIRECTORY));
  }

  std::shared_ptr<KeptTable> told;
  SharedTable kept_;
  TempDir dir = TempDir::in_tmp("parts");
  bool refuses = false;
  std::vector<std::vector<std::string>> asked;
};

struct PartsBase : LazyBase {
  PartsBase() : LazyBase({make_odd_layer}) { parts = std::make_shared<FakeParts>(origin, *store.layer(layers[0])); }
  TreeView parts_view(Missing missing) {
    BlobAccess how = access();
    how.read_parts = [this](const Layer& layer, bool is_here) -> std::shared_ptr<PartialLayer> {
      CHECK(layer.id == layers[0]);
      here = is_here;
      return reads ? parts : nullptr;
    };
    return open_lazy_view(store, chain, how, missing);
  }
  oci::layer::TableNode& told(const std::string& path) {
    return parts->told->table.nodes.at(parts->told->table.find(path));
  }

  std::shared_ptr<FakeParts> parts;
  bool reads = true;
  std::optional<bool> here;
};

}  // namespace

TEST_CASE("a layer with a table of its own brings the files that are read, and nothing else") {
  PartsBase base;
  std::vector<std::string> trees;
  {
    LazyBase whole({make_odd_layer});
    trees = Description(whole.view()).lines();
  }
  const TreeView view = base.parts_view(Missing::read_files);
  CHECK(base.here == false);
  CHECK(Description(view).lines() == trees);
  CHECK(view.read_file("link/absolute", 100) == "part etc/passwd");
  view.bring(0, {"dir/one", "bin/su"});
  const UniqueFd directory = view.open_directory(0, "dir");
  CHECK(sys::read_file_at(directory.get(), "one", 100) == "part dir/one");
  CHECK(view.read_file("dir/two", 100) == "part dir/two");
  using Asked = std::vector<std::vector<std::string>>;
  CHECK(base.parts->asked == Asked{{"etc/passwd"}, {"dir/one", "bin/su"}, {"dir/two"}});
  CHECK(base.fetched == 0);
  CHECK(base.trees() == 0);
  // Readers of names alone, too; whoever wants trees has them.
  CHECK(Description(base.parts_view(Missing::make_tables)).lines() == trees);
  CHECK(base.fetched == 0);
  base.here.reset();
  (void)base.parts_view(Missing::make_trees);
  CHECK_FALSE(base.here);
  CHECK(base.trees() == 1);
  (void)base.parts_view(Missing::read_files);
  CHECK(base.here == true);
}

TEST_CASE("a layer whose files are not read by parts is brought, and compared with what its own table said") {
  PartsBase base;
  base.parts->refuses = true;
  const auto read = [&] {
    const TreeView view = base.parts_view(Missing::read_files);
    view.bring(0, {"dir/one", "dir/two", "bin/su"});
    return sys::read_file_at(view.open_directory(0, "dir").get(), "two", 100);
  };
  SUBCASE("it is right") {
    CHECK(read() == "22");
    CHECK(base.fetched == 1);
    CHECK(read() == "22");
  }
  SUBCASE("it lies") {
    SUBCASE("about content") { base.told("dir/two").content = sha256("33"); }
    SUBCASE("about the size") { base.told("dir/two").size = 3; }
    SUBCASE("about the owner") { base.told("bin/su").uid = 13; }
    SUBCASE("about the mode") { base.told("bin/su").mode = 0755; }
    SUBCASE("about the time") { base.told("dir/one").mtime_s += 1; }
    SUBCASE("about xattrs") { base.told("dir/two").xattrs.clear(); }
    CHECK(code_of(read) == ErrorCode::missing_content);
    // The next attempt finds the tree, and makes its keys of that.
    base.reads = false;
    CHECK(read() == "22");
    CHECK(base.fetched == 1);
  }
}
