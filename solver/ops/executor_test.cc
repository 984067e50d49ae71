// SPDX-License-Identifier: Apache-2.0
// Every kind of op on a real store; commands are functions of the test.
#include "solver/ops/executor.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "cache/claimed_layer.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "solver/executor_conformance.h"
#include "solver/ops/ops_fixture.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::make_symlink;
using cache::testing::write_file;

CopyAction copy_of(std::vector<std::string> sources, std::string destination) {
  CopyAction copy;
  copy.sources = std::move(sources);
  copy.destination = std::move(destination);
  return copy;
}

/// A world whose input 0 is an image and input 1 another one.
struct TwoInputs : World {
  VertexId first = graph.add(vertex_of(ImageSource{}, {}));
  VertexId second = graph.add(vertex_of(ImageSource{.platform = "other"}, {}));

  Vertex file_op(std::vector<FileAction> actions) { return vertex_of(FileOp{std::move(actions)}, {first, second}); }
};

/// An image of one layer, in the store's blobs.
struct StoredImage {
  oci::Manifest manifest;
  oci::ImageConfig config;
  Digest digest;

  StoredImage(World& world, const std::string& content) {
    const Result made = world.base([&](int tree) { write_file(tree, "f", content); }, content);
    cache::Packer packer(world.store, {});
    const cache::Layer layer = packer.finish(made.id).back();
    config.platform = {.os = "linux", .architecture = "amd64"};
    config.diff_ids = {layer.diff_id};
    manifest.layers = {*layer.blob};
    save(world);
  }
  void save(World& world) {
    manifest.config = oci::put_blob(world.store.blobs(), oci::to_json(config), std::string(oci::media_type::kConfig));
    digest = oci::put_blob(world.store.blobs(), oci::to_json(manifest), manifest.media_type).digest;
  }
  Vertex vertex() const {
    return vertex_of(ImageSource{.manifest = digest, .locator = "docker-image://registry.test/base:1"}, {});
  }
};

}  // namespace

TEST_CASE("an image is its layers, as its manifest describes them") {
  World world;
  StoredImage image(world, "one");
  const Result result = world.done(image.vertex(), {});
  CHECK(world.read(result, "f") == "one");
  CHECK(world.done(image.vertex(), {}) == result);
  CHECK(std::get<KnownSource>(world.execute(image.vertex(), {})).result == result);
  SUBCASE("another manifest with the same layers is the same base") {
    image.config.author = "somebody";
    image.save(world);
    CHECK(world.done(image.vertex(), {}) == result);
  }
  SUBCASE("the same diff id with another blob is not") {
    const StoredImage other(world, "two");
    image.manifest.layers = other.manifest.layers;
    image.save(world);
    const Result lie = world.done(image.vertex(), {});
    CHECK(lie.identity != result.identity);
    CHECK(lie.id != result.id);
  }
  SUBCASE("diff ids and layers have to agree in number") {
    image.config.diff_ids.push_back(sha256("more"));
    image.save(world);
    CHECK(world.failed(image.vertex(), {}).error.code() == ErrorCode::corrupt);
  }
  SUBCASE("an index is not a manifest") {
    image.digest =
        oci::put_blob(world.store.blobs(), oci::to_json(oci::Index{}), std::string(oci::media_type::kIndex)).digest;
    CHECK(world.failed(image.vertex(), {}).error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("a copy keeps the mode and owner of the root") {
  TwoInputs world;
  const Result base = world.base([](int tree) {
    fchmod(tree, 01711);
    fchown(tree, 3, 4);
  });
  const Result from = world.base([](int tree) { write_file(tree, "f", "x"); }, "from");
  const Vertex vertex = world.file_op({copy_of({"f"}, "/to/")});
  cache::Packer packer(world.store, {});
  SUBCASE("no step reads it") { world.services.packed.emplace(packer, std::unordered_set<VertexId>{7}); }
  SUBCASE("a step reads it") {}
  const Result result = world.done(vertex, {base, from});
  CHECK(world.mode(result, "") == 01711);
  CHECK(world.view(result).lookup("")->st.st_uid == 3);
  CHECK(world.view(result).lookup("")->st.st_gid == 4);
  CHECK(world.read(result, "to/f") == "x");
  CHECK(world.mode(result, "to") == 0755);
}

TEST_CASE("a copy that no step reads is packed straight") {
  TwoInputs world;
  const Result from = world.base([](int tree) { write_file(tree, "f", "x"); }, "from");
  cache::Packer packer(world.store, {});
  world.services.packed.emplace(packer, std::unordered_set<VertexId>{7});
  const Result result = world.done(world.file_op({copy_of({"f"}, "/to/")}), {Result{}, from});
  CHECK_FALSE(world.store.layer(world.store.chain(result.id)->layer)->has_tree);
  CHECK(world.read(result, "to/f") == "x");
}

TEST_CASE("a copy between stages keeps modes, owners, devices and links; its identity is its key") {
  TwoInputs world;
  const Result from = world.base([](int tree) {
    write_file(tree, "d/f", "x");
    fchmodat(tree, "d/f", 06755, 0);
    fchownat(tree, "d/f", 5, 6, 0);
    fchmodat(tree, "d/f", 06755, 0);
    make_symlink(tree, "f", "d/l");
    mknodat(tree, "d/pipe", S_IFIFO | 0600, 0);
    linkat(tree, "d/f", tree, "d/again", 0);
  });
  const Vertex vertex = world.file_op({copy_of({"d"}, "/to")});
  const Result result = world.done(vertex, {Result{}, from}, "a key");
  CHECK(world.mode(result, "to/f") == 06755);
  const cache::TreeView view = world.view(result);
  CHECK(view.lookup("to/f")->st.st_uid == 5);
  CHECK(view.lookup("to/f")->st.st_ino == view.lookup("to/again")->st.st_ino);
  CHECK(view.read_link("to/l") == "f");
  CHECK(S_ISFIFO(view.lookup("to/pipe")->st.st_mode));
  CHECK(world.done(vertex, {Result{}, from}, "a key").identity == result.identity);
  CHECK(world.done(vertex, {Result{}, from}, "another key").identity != result.identity);
}

TEST_CASE("owners by name and symbolic modes") {
  TwoInputs world;
  const Result base = world.base([](int tree) {
    write_file(tree, "etc/passwd", "ada:x:7:8::/:/bin/sh\n");
    write_file(tree, "etc/group", "staff:x:50:\n");
  });
  const Result from = world.base([](int tree) {
    write_file(tree, "d/f", "x", 0664);
    sys::mkdir_all(tree, "d/sub", 0755);
    fchmodat(tree, "d/sub", 02775, 0);
  });
  CopyAction copy = copy_of({"d"}, "/to");
  copy.chown = "ada:staff";
  copy.chmod = "g=rx";
  const Result result = world.done(
      world.file_op({copy, MakeFileAction{.path = "/made/file", .content = "text", .chown = "9", .chmod = "4711"},
                     MakeDirAction{.path = "/made/dir", .mode = 0750, .owner = "ada"}}),
      {base, from});
  CHECK(world.mode(result, "to/f") == 0654);
  CHECK(world.mode(result, "to/sub") == 0755);
  const cache::TreeView view = world.view(result);
  CHECK(view.lookup("to/f")->st.st_uid == 7);
  CHECK(view.lookup("to/f")->st.st_gid == 50);
  CHECK(view.lookup("to")->st.st_uid == 7);
  CHECK(world.read(result, "made/file") == "text");
  CHECK(world.mode(result, "made/file") == 04711);
  CHECK(view.lookup("made/file")->st.st_uid == 9);
  CHECK(world.mode(result, "made/dir") == 0750);
  CHECK(view.lookup("made/dir")->st.st_uid == 7);
  CHECK(world.mode(result, "made") == 0755);
  copy.chown = "unknown";  // BuildKit takes it for root
  CHECK(world.view(world.done(world.file_op({copy}), {base, from})).lookup("to/f")->st.st_uid == 0);
}

TEST_CASE("wrong copies name the mistake") {
  TwoInputs world;
  const Result from = world.base([](int tree) {
    write_file(tree, "f", "x");
    write_file(tree, "d/g", "y");
    if (mknodat(tree, "d/gone", S_IFCHR, 0) != 0) throw_errno(errno, "mknod");
  });
  const auto code = [&](const CopyAction& copy) {
    return world.failed(world.file_op({copy}), {Result{}, from}).error.code();
  };
  CHECK(code(copy_of({"none"}, "/")) == ErrorCode::not_found);
  const Result file = world.base([](int tree) { write_file(tree, "to", "file"); });
  CHECK(world.failed(world.file_op({copy_of({"d"}, "/to")}), {file, from}).error.message() ==
        "cannot copy to non-directory: /to");
  CHECK(world.read(world.done(world.file_op({copy_of({"none*", "f"}, "/to/")}), {Result{}, from}), "to/f") == "x");
}

TEST_CASE("files read from a local directory become root's") {
  TwoInputs world;
  write_file(world.context.fd(), "sub/f", "x");
  write_file(world.context.fd(), "sub/ignored", "y");
  fchownat(world.context.fd(), "sub/f", 77, 77, 0);
  const LocalSource source{"context", world.context.path(), {"sub/ignored"}};
  const VertexId local = world.graph.add(vertex_of(source, {}));
  Vertex vertex = vertex_of(FileOp{{copy_of({"sub"}, "/to")}}, {kNoInput, local});
  const Result result = world.done(vertex, {Result{}, Result{}});
  CHECK(world.read(result, "to/f") == "x");
  CHECK(world.read(result, "to/ignored") == "(none)");
  CHECK(world.view(result).lookup("to/f")->st.st_uid == 0);

  const Selector selector{.kind = Selector::Kind::paths, .paths = {"sub"}};
  std::vector<KeyPart> parts;
  const Digest before = world.executor().digest_local(world.graph[local], selector, &parts);
  CHECK_FALSE(parts.empty());
  write_file(world.context.fd(), "sub/ignored", "changed");
  world.executor().save_scans();
  world.made.reset();
  CHECK(world.executor().digest_local(world.graph[local], selector, nullptr) == before);
  write_file(world.context.fd(), "sub/f", "changed");
  world.made.reset();
  CHECK(world.executor().digest_local(world.graph[local], selector, nullptr) != before);

  SUBCASE("by a bind mount") {
    Vertex bound = command();
    bound.inputs = {kNoInput, local};
    std::get<ExecOp>(bound.op).mounts = {{"/m", BindMount{1, "/sub/f", true}}};
    const auto sees = [](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
      const auto& from = std::get<sandbox::OverlaySource>(spec.mounts.at(0).source);
      CHECK(sys::read_file_at(from.lower_fds.at(0), "sub/f", 100) == "changed");
      CHECK_FALSE(sys::try_stat_at(from.lower_fds.at(0), "sub/ignored"));
      return sandbox::Exit{};
    };
    world.runner.steps = {sees, sees};
    world.done(bound, {Result{}, Result{}});
    world.done(bound, {Result{}, Result{}});
  }
}

TEST_CASE("the digest of a selection is that of its content, and is remembered") {
  World world;
  const auto make = [&](const std::string& text, const std::string& identity) {
    return world.base(
        [&](int tree) {
          write_file(tree, "d/f", text);
          write_file(tree, "other", identity);
        },
        identity);
  };
  const Result one = make("x", "one"), two = make("x", "two"), three = make("y", "three");
  const Selector selector{.kind = Selector::Kind::paths, .paths = {"d"}};
  std::vector<KeyPart> parts, none;
  StoreExecutor& executor = world.executor();
  const Digest digest = executor.digest_result(one, selector, &parts);
  CHECK_FALSE(parts.empty());
  CHECK(executor.digest_result(one, selector, &none) == digest);
  CHECK(none.empty());
  CHECK(executor.digest_result(two, selector, nullptr) == digest);
  CHECK(executor.digest_result(three, selector, nullptr) != digest);
  CHECK(executor.digest_result(one, {}, nullptr) == one.identity);
}

TEST_CASE("an archive is unpacked by ADD") {
  TwoInputs world;
  const Result packed = world.base([](int tree) { write_file(tree, "in/archive", "x"); });
  cache::Packer packer(world.store, {});
  const std::string bytes = oci::read_blob(world.store.blobs(), packer.finish(packed.id).back().blob->digest);
  const Result from = world.base([&](int tree) { write_file(tree, "a.tar.gz", bytes); }, "from");
  CopyAction copy = copy_of({"a.tar.gz"}, "/to/");
  copy.unpack = true;
  const Result result = world.done(world.file_op({copy}), {Result{}, from});
  CHECK(world.read(result, "to/in/archive") == "x");
  CHECK_FALSE(world.view(result).lookup("to/a.tar.gz"));
  copy.unpack = false;
  CHECK(world.view(world.done(world.file_op({copy}), {Result{}, from})).lookup("to/a.tar.gz"));
}

TEST_CASE("merges stack layers, diffs take them apart") {
  World world;
  const Result base = world.base([](int tree) { write_file(tree, "f", "base"); });
  const Result upper = world.base([](int tree) { write_file(tree, "g", "upper"); }, "upper");
  const Vertex merge = vertex_of(MergeOp{}, {0, 1}), diff = vertex_of(DiffOp{}, {0, 1});
  const Result merged = world.done(merge, {base, upper});
  CHECK(world.read(merged, "f") == "base");
  CHECK(world.read(merged, "g") == "upper");
  // The same on another base is another result, and so is another upper part on the same base.
  const Result other = world.base([](int tree) { write_file(tree, "f", "base"); }, "other");
  CHECK(world.done(merge, {other, upper}).identity != merged.identity);
  CHECK(world.done(merge, {base, other}).identity != merged.identity);
  CHECK(world.done(merge, {base, upper}).identity == merged.identity);
  const Result taken = world.done(diff, {base, merged});
  CHECK(world.read(taken, "g") == "upper");
  CHECK(world.read(taken, "f") == "(none)");
  CHECK(world.done(diff, {base, base}).id.empty());
}

TEST_CASE("the difference of trees that do not stand on each other is found entry by entry") {
  World world;
  const Result lower = world.base(
      [](int tree) {
        write_file(tree, "same/f", "text");
        write_file(tree, "gone/f", "old");
        write_file(tree, "changed", "old text");
        write_file(tree, "was-file", "x");
        sys::mkdir_at(tree, "was-directory", 0755);
        const struct timespec times[2] = {{5, 0}, {5, 0}};
        ::utimensat(tree, "same/f", times, 0);
        ::utimensat(tree, "changed", times, 0);
      },
      "lower");
  const Result upper = world.base(
      [](int tree) {
        write_file(tree, "same/f", "text");
        write_file(tree, "changed", "new text");
        write_file(tree, "was-file/f", "y");
        write_file(tree, "was-directory", "z");
        make_symlink(tree, "same", "link");
        const struct timespec times[2] = {{5, 0}, {5, 0}};
        ::utimensat(tree, "same/f", times, 0);
        ::utimensat(tree, "changed", times, 0);
      },
      "upper");
  const Result taken = world.done(vertex_of(DiffOp{}, {0, 1}), {lower, upper});
  CHECK(world.read(taken, "changed") == "new text");
  CHECK(world.read(taken, "was-file/f") == "y");
  CHECK(world.read(taken, "was-directory") == "z");
  CHECK_FALSE(world.view(taken).lookup("same"));
  // On the lower tree it gives the upper one.
  const Result merged = world.done(vertex_of(MergeOp{}, {0, 1}), {lower, taken});
  CHECK_FALSE(world.view(merged).lookup("gone"));
  CHECK(world.read(merged, "same/f") == "text");
  CHECK(world.read(merged, "changed") == "new text");
  CHECK(world.view(merged).read_link("link") == "same");
}

TEST_CASE("a result found by content is put on this build's inputs") {
  World world;
  const Result before = world.base([](int tree) { write_file(tree, "s", "2001"); }, "same");
  const Result now = world.base([](int tree) { write_file(tree, "s", "2002"); }, "same");
  REQUIRE(before.identity == now.identity);
  StoreExecutor& executor = world.executor();
  const auto request = [](const Vertex& vertex, std::vector<Result> inputs) {
    return ExecuteRequest{7, &vertex, std::move(inputs), sha256("key")};
  };
  world.runner.steps = {writes("log", "done")};
  const Vertex run = command();
  const Result found = world.done(run, {before});
  const Result rebased = executor.rebase(request(run, {now}), found);
  CHECK(rebased.identity == found.identity);
  CHECK(world.read(rebased, "s") == "2002");
  CHECK(world.read(rebased, "log") == "done");
  CHECK(executor.rebase(request(run, {before}), found) == found);
  CHECK(executor.rebase(request(run, {now}), rebased) == rebased);
  CHECK(world.read(found, "s") == "2001");

  const Result linked = world.base([](int tree) { write_file(tree, "l", "x"); }, "linked");
  const Vertex merge = vertex_of(MergeOp{}, {0, 1});
  const Result merged = world.done(merge, {found, linked});
  const Result moved = executor.rebase(request(merge, {rebased, linked}), merged);
  CHECK(moved.identity == merged.identity);
  CHECK(world.read(moved, "s") == "2002");
  CHECK(world.read(moved, "l") == "x");

  const Vertex diff = vertex_of(DiffOp{}, {0, 1});
  const Result taken = world.done(diff, {before, found});
  CHECK(world.read(executor.rebase(request(diff, {now, rebased}), taken), "log") == "done");
  // Sources stand on nothing, and an empty result has no layer.
  const Vertex url = vertex_of(HttpSource{}, {});
  CHECK(executor.rebase(request(url, {}), found) == found);
  CHECK(executor.rebase(request(run, {now}), Result{}) == Result{});
  try {
    executor.rebase(request(run, {now}), {sha256("gone"), sha256("identity")});
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::missing_content);
  }
}

TEST_CASE("the executor on a store is an executor") {
  World world;
  sys::mkdir_at(AT_FDCWD, cat(world.context.path(), "/d"), 0755);
  sys::write_file_at(AT_FDCWD, cat(world.context.path(), "/a"), "1");
  sys::write_file_at(AT_FDCWD, cat(world.context.path(), "/d/b"), "2");
  world.runner.steps = {writes("out", "made"), exits(3)};
  const Vertex works = command(), fails = command("false");
  Vertex impossible = command();
  std::get<ExecOp>(impossible.op).mounts = {{"/m", SecretMount{.id = "absent", .required = true}}};
  conformance::check_executor({world.executor(),
                               vertex_of(LocalSource{"context", world.context.path(), {}}, {}),
                               {1, &works, {Result{}}, sha256("works")},
                               {2, &fails, {Result{}}, sha256("fails")},
                               {3, &impossible, {Result{}}, sha256("impossible")}});
}

}  // namespace cbuild::solver::ops
