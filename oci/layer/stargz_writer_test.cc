// SPDX-License-Identifier: Apache-2.0
// eStargz blobs, read back by the reader of such tables, by gunzip, and by a Python program that knows the format only.
#include "oci/layer/stargz_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/text.h"
#include "oci/layer/foreign_table.h"
#include "oci/layer/pack.h"
#include "oci/layer/recompress.h"
#include "oci/layer/test_support.h"
#include "oci/table_annotations.h"

namespace cbuild::oci::layer {
namespace {

using test::bytes_of, test::dir_member, test::file_member, test::link_member, test::make_tar, test::MemoryBlobs,
    test::memory_file, test::mixed_bytes, test::random_bytes;

PackOptions stargz(int level = 0) {
  PackOptions options;
  options.compression = Compression::estargz;
  options.level = level;
  return options;
}

PackedLayer from_tar(MemoryBlobs& blobs, const std::string& tar, int level = 0) {
  return recompress(memory_file(tar).get(), sha256(tar), sha256(tar), blobs, stargz(level));
}

std::string gunzip(const std::string& blob) {
  const CommandResult result = run_command({"gzip", "-dc"}, blob, std::chrono::minutes(1), 128u << 20);
  CHECK(result.exit_code == 0);
  return result.out;
}

ForeignTable table_of(const PackedLayer& layer, const std::string& blob) {
  auto table = read_foreign_table(layer.descriptor, [&](std::uint64_t offset, std::uint64_t size) {
    return offset + size <= blob.size() ? std::optional(blob.substr(offset, size)) : std::nullopt;
  });
  REQUIRE(table);
  return *std::move(table);
}

/// A file of a layer, by the table of contents alone: ranges of the blob, each verified.
std::string file_by_table(const PackedLayer& layer, const std::string& blob, const std::string& path) {
  const ReadRange read = [&](std::uint64_t offset, std::uint64_t size) -> std::optional<std::string> {
    return blob.substr(offset, size);
  };
  const ForeignTable table = table_of(layer, blob);
  const std::uint32_t node = table.table.find(path);
  std::string content;
  for (const ForeignChunk& chunk : table.chunks.at(node)) {
    const ForeignRange range{chunk.blob_offset, chunk.blob_end - chunk.blob_offset, {{node, chunk}}};
    CHECK(read_pieces(range, read, [&](std::uint32_t, std::uint64_t at, std::string_view bytes) {
      CHECK(at == content.size());
      content += bytes;
    }));
  }
  return content;
}

std::string sample_tar() {
  TarEntry owned;
  owned.name = "etc/owned";
  owned.mode = 04755;
  owned.uid = 70000;
  owned.gid = 5;
  owned.mtime_s = 1'700'000'000;
  owned.size = 5;
  owned.xattrs = {{"security.capability", test::capability_value()}};
  return make_tar({dir_member("etc"),
                   {owned, "owned"},
                   file_member("etc/empty", ""),
                   file_member("large", mixed_bytes((8u << 20) + 77)),
                   file_member("exact", random_bytes(4u << 20)),
                   link_member("link", "etc/owned"),
                   link_member("hard", "etc/owned", EntryType::hardlink),
                   file_member(std::string(150, 'n'), "long name"),
                   file_member(".wh.gone", ""),
                   file_member("last", "z")});
}

TEST_CASE("the archive is in front of the table, and every file can be read by its pieces") {
  const std::string tar = sample_tar();
  for (const int level : {0, 2, 6, 9}) {
    CAPTURE(level);
    MemoryBlobs blobs;
    const PackedLayer layer = from_tar(blobs, tar, level);
    const std::string blob = blobs.content(layer.descriptor.digest);
    const std::string all = gunzip(blob);
    CHECK(all.substr(0, tar.size()) == tar);
    CHECK(layer.diff_id == sha256(all));
    CHECK(layer.uncompressed_size == all.size());
    CHECK(layer.descriptor.size == blob.size());
    CHECK(layer.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar+gzip");
    CHECK(annotation(layer.descriptor, kStargzSize) == std::to_string(all.size()));
    const auto file = [&](const std::string& path) { return file_by_table(layer, blob, path); };
    CHECK(file("large") == mixed_bytes((8u << 20) + 77));
    CHECK(file("exact") == random_bytes(4u << 20));
    CHECK(file("etc/owned") == "owned");
    CHECK(file(std::string(150, 'n')) == "long name");
    CHECK(file("last") == "z");
    CHECK(table_of(layer, blob).table.find("stargz.index.json") == LayerTable::kNone);  // as for who unpacks it
  }
}

TEST_CASE("a reader that knows the format only finds what is in the archive") {
  static const char kReader[] = R"(
import gzip, hashlib, io, json, sys, tarfile, zlib
blob = sys.stdin.buffer.read()
foot = blob[-51:]
assert foot[:4] == b'\x1f\x8b\x08\x04' and foot[10:16] == b'\x1a\x00SG\x16\x00' and foot[32:38] == b'STARGZ'
assert zlib.decompressobj(31).decompress(foot) == b''
at = int(foot[16:32], 16)
inner = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[at:-51])))
member = inner.next()
assert member.name == 'stargz.index.json' and inner.next() is None
document = inner.extractfile(member).read()
toc = json.loads(document)
assert toc['version'] == 1
tar = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob)))
members = list(tar)
entries = [e for e in toc['entries'] if e['type'] != 'chunk']
kinds = {'reg': tarfile.REGTYPE, 'dir': tarfile.DIRTYPE, 'symlink': tarfile.SYMTYPE, 'hardlink': tarfile.LNKTYPE}
assert len(entries) == len(members), (len(entries), len(members))
for m, e in zip(members, entries):
    assert e['name'].rstrip('/') == m.name and kinds[e['type']] == m.type, (m, e)
    assert e.get('mode', 0) == m.mode and e.get('uid', 0) == m.uid and e.get('gid', 0) == m.gid, (m, e)
    assert e.get('linkName', '') == m.linkname and e.get('size', 0) == (m.size if m.isreg() else 0), (m, e)
    if not m.isreg():
        continue
    content, pieces = tar.extractfile(m).read(), [p for p in toc['entries'] if p['name'] == e['name'] and p['type'] in ('reg', 'chunk')]
    assert e['digest'] == 'sha256:' + hashlib.sha256(content).hexdigest()
    have = b''
    for p in pieces if content else []:
        assert p.get('chunkOffset', 0) == len(have)
        size = p.get('chunkSize', 0) or len(content) - len(have)
        piece = zlib.decompressobj(31).decompress(blob[p['offset']:])[:size]
        assert p['chunkDigest'] == 'sha256:' + hashlib.sha256(piece).hexdigest()
        have += piece
    assert have == content
print(len(entries), hashlib.sha256(document).hexdigest())
)";
  MemoryBlobs blobs;
  const PackedLayer layer = from_tar(blobs, sample_tar());
  const std::string blob = blobs.content(layer.descriptor.digest);
  const CommandResult result = run_command({"python3", "-c", kReader}, blob, std::chrono::minutes(2), 1u << 20);
  CHECK(result.err == "");
  CHECK(cat("10 ", annotation(layer.descriptor, kStargzTable).substr(7), "\n") == result.out);
}

TEST_CASE("a tree and its archive give the same blob, whatever the number of threads") {
  const tbb::global_control eight_threads(tbb::global_control::max_allowed_parallelism, 8);
  const TempDir dir = TempDir::in_tmp("stargz-test-");
  test::TreeMaker tree(dir.fd());
  tree.dir("d").file("d/large", mixed_bytes(9u << 20)).file("d/empty").hardlink("d/same", "d/large").whiteout("gone");
  for (int i = 0; i < 2000; ++i) tree.file(cat("many/", i), cat("file ", i));
  const auto pack = [&](int threads) {
    MemoryBlobs blobs;
    tbb::task_arena arena(threads);
    const PackedLayer layer = arena.execute([&] { return pack_layer(dir.fd(), blobs, stargz()); });
    return std::pair(layer, blobs.content(layer.descriptor.digest));
  };
  const auto [layer, blob] = pack(1);
  for (const int threads : {2, 8}) CHECK(pack(threads).second == blob);
  CHECK(file_by_table(layer, blob, "d/large") == mixed_bytes(9u << 20));

  MemoryBlobs blobs;
  PackOptions plain;
  plain.compression = Compression::none;
  const PackedLayer tar = pack_layer(dir.fd(), blobs, plain);
  CHECK(gunzip(blob).starts_with(blobs.content(tar.descriptor.digest)));
  const PackedLayer again = from_tar(blobs, blobs.content(tar.descriptor.digest));
  CHECK(again.descriptor == layer.descriptor);
  CHECK(again.diff_id == layer.diff_id);
}

TEST_CASE("zeros at the end of a file are not the end of the archive") {
  for (const std::size_t size :
       {std::size_t{4096}, std::size_t{4097}, (std::size_t{4} << 20) + 1, std::size_t{4} << 20}) {
    CAPTURE(size);
    // Without its end, as writers leave it that append their table to the archive.
    const std::string tar = make_tar({file_member("zeros", std::string(size, '\0'))});
    const std::string cut = tar.substr(0, 512 + (size + 511) / 512 * 512);
    MemoryBlobs blobs;
    const PackedLayer layer = from_tar(blobs, cut);
    CHECK(table_of(layer, blobs.content(layer.descriptor.digest)).table.find("stargz.index.json") != LayerTable::kNone);
    const PackedLayer whole = from_tar(blobs, tar);
    CHECK(table_of(whole, blobs.content(whole.descriptor.digest)).table.find("stargz.index.json") == LayerTable::kNone);
  }
}

TEST_CASE("an empty layer has a table without entries") {
  MemoryBlobs blobs;
  const PackedLayer layer = from_tar(blobs, make_tar({}));
  const ForeignTable table = table_of(layer, blobs.content(layer.descriptor.digest));
  CHECK(table.chunks.empty());
  CHECK(table.table.nodes.size() == 1);
}

TEST_CASE("archives that the format cannot hold are refused") {
  MemoryBlobs blobs;
  CHECK_THROWS_WITH_AS(from_tar(blobs, make_tar({file_member("stargz.index.json")})),
                       doctest::Contains("stargz.index.json cannot be estargz"), Error);
  const TempDir dir = TempDir::in_tmp("stargz-test-");
  test::TreeMaker(dir.fd()).sparse("holes", 1u << 20, 600'000, "data");
  const CommandResult sparse =
      run_command({"tar", "-C", dir.path(), "--sparse", "-cf", "-", "holes"}, "", std::chrono::minutes(1), 4u << 20);
  REQUIRE(sparse.exit_code == 0);
  CHECK_THROWS_WITH_AS(from_tar(blobs, sparse.out), doctest::Contains("holes: an estargz layer"), Error);
  CHECK(blobs.count() == 0);
}

TEST_CASE("errors of the sink come out") {
  const std::string tar = make_tar({file_member("a", mixed_bytes(40u << 20))});
  StargzWriter writer(0, [](std::span<const std::byte>) { throw Error(ErrorCode::no_space, "disk full"); });
  TarMember member{file_member("a").entry};
  member.entry.size = 40u << 20;
  member.has_data = true;
  writer.add(member, 512);
  CHECK_THROWS_AS((writer.write(bytes_of(tar)), writer.finish()), Error);
}

}  // namespace
}  // namespace cbuild::oci::layer
