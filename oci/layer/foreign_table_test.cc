// SPDX-License-Identifier: Apache-2.0
// Layers with a table of contents of their own: what is read of them, and that nothing is believed which does not hold.
#include "oci/layer/foreign_table.h"

#include <doctest/doctest.h>

#include <map>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/test_support.h"
#include "oci/table_annotations.h"

namespace cbuild::oci::layer {

namespace {

std::string compressed(const std::string& text, Compression how) {
  std::string out;
  ParallelCompressor compressor(how, 0, [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  compressor.write(std::as_bytes(std::span(text)));
  compressor.finish();
  return out;
}

/// A blob with pieces that are compressed one by one, and a list of them.
struct Chunked {
  Compression how;
  std::string blob = {}, entries = {};
  int version = 1;
  Descriptor layer = {};

  /// Any entry, as JSON.
  void entry(const std::string& json) { entries += (entries.empty() ? "" : ",") + json; }
  void file(const std::string& name, const std::vector<std::string>& pieces, const std::string& more = {}) {
    std::string whole;
    for (const std::string& piece : pieces) whole += piece;
    std::uint64_t at = 0;
    for (const std::string& piece : pieces) {
      const std::string kind =
          at == 0 ? cat(R"("type":"reg","mode":420,"size":)", whole.size(), R"(,"digest":")", sha256(whole).str(), "\"")
                  : R"("type":"chunk")";
      entry(cat(R"({"name":")", name, "\",", kind, R"(,"offset":)", blob.size(), R"(,"chunkOffset":)", at,
                R"(,"chunkSize":)", pieces.size() == 1 ? 0 : piece.size(), R"(,"chunkDigest":")", sha256(piece).str(),
                "\"", at == 0 ? more : "", "}"));
      blob += compressed(piece + std::string(512, 't'), how);  // as much of the archive as follows it
      at += piece.size();
    }
  }
  void finish() {
    const std::string json = cat(R"({"entries":[)", entries, R"(],"version":)", version, "}");
    const std::uint64_t offset = blob.size();
    if (how == Compression::gzip) {
      blob += compressed(tar_of({{.name = "stargz.index.json", .size = json.size()}}, json), how);
      const std::string place = hex_of(offset);
      blob += std::string("\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0", 16) + place + "STARGZ" +
              std::string("\1\0\0\xff\xff\0\0\0\0\0\0\0\0", 13);
      layer.annotations["containerd.io/snapshot/stargz/toc.digest"] = sha256(json).str();
    } else {
      const std::string packed = compressed(json, how);
      blob += packed;
      layer.annotations["io.github.containers.zstd-chunked.manifest-checksum"] = sha256(packed).str();
      layer.annotations["io.github.containers.zstd-chunked.manifest-position"] =
          cat(offset, ':', packed.size(), ':', json.size(), ":1");
      blob += "the end";
    }
    layer.size = blob.size();
    layer.digest = sha256(blob);
  }
  static std::string hex_of(std::uint64_t number) {
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[number >> shift & 15];
    return out;
  }
  static std::string tar_of(const std::vector<TarEntry>& members, const std::string& content) {
    std::string out;
    TarWriter tar([&](std::span<const std::byte> bytes) {
      out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    for (const TarEntry& member : members) tar.entry(member);
    tar.data(std::as_bytes(std::span(content)));
    tar.finish();
    return out;
  }

  ReadRange range(std::uint64_t* moved = nullptr) const {
    return [this, moved](std::uint64_t offset, std::uint64_t size) -> std::optional<std::string> {
      if (moved != nullptr) *moved += size;
      if (offset > blob.size() || size > blob.size() - offset) return std::nullopt;
      return blob.substr(offset, size);
    };
  }
  std::optional<ForeignTable> table() const { return read_foreign_table(layer, range()); }
  /// Content of a file; nullopt if it cannot be read.
  std::optional<std::string> read(const ForeignTable& from, const std::string& path,
                                  std::uint64_t* moved = nullptr) const {
    const std::uint32_t node = from.table.find(path);
    const auto ranges = plan_reads(from, {node});
    if (!ranges) return std::nullopt;
    std::string out;
    for (const ForeignRange& part : *ranges) {
      const auto sink = [&](std::uint32_t of, std::uint64_t offset, std::string_view bytes) {
        CHECK(of == node);
        CHECK(offset == out.size());
        out += bytes;
      };
      if (!read_pieces(part, range(moved), sink)) return std::nullopt;
    }
    return out;
  }
};

constexpr Compression kBoth[] = {Compression::gzip, Compression::zstd};

Chunked usual(Compression how) {
  Chunked out{how};
  out.entry(R"({"name":"etc/","type":"dir","mode":1517,"uid":3,"gid":4,"modtime":"2024-01-02T03:04:05Z"})");
  out.file("etc/one", {"the first file\n"}, R"(,"xattrs":{"user.a":"Yg=="},"uid":7,"devMajor":1)");
  out.file("etc/many", {std::string(9000, 'a'), std::string(7000, 'b'), "end"});
  out.entry(R"({"name":"etc/link","type":"symlink","linkName":"one","mode":511})");
  out.entry(R"({"name":"etc/hard","type":"hardlink","linkName":"etc/one","mode":420,"uid":7})");
  out.file("etc/empty", {""});
  out.file("big", {std::string(300'000, 'x') + sha256("noise").str()});
  return out;
}

}  // namespace

TEST_CASE("a foreign table gives the tree, and files by their pieces") {
  for (const Compression how : kBoth) {
    Chunked layer = usual(how);
    layer.finish();
    CHECK_FALSE(table_claim(layer.layer).empty());
    const auto table = layer.table();
    REQUIRE(table);
    const auto node = [&](const char* path) { return table->table.nodes[table->table.find(path)]; };
    CHECK(node("etc").mode == 02755);
    CHECK(node("etc").uid == 3);
    CHECK(node("etc").mtime_s == 1704164645);
    CHECK(node("etc/one").size == 15);
    CHECK(node("etc/one").uid == 7);
    CHECK(node("etc/one").device_major == 0);
    CHECK(node("etc/one").names == 2);
    CHECK(node("etc/one").xattrs == std::vector<sys::Xattr>{{"user.a", "b"}});
    CHECK(node("etc/one").content == sha256("the first file\n"));
    CHECK(node("etc/link").link_target == "one");
    CHECK(table->table.find("etc/hard") != LayerTable::kNone);
    CHECK((table->table.find("stargz.index.json") != LayerTable::kNone) == (how == Compression::gzip));
    std::uint64_t moved = 0;
    CHECK(layer.read(*table, "etc/hard", &moved) == "the first file\n");
    CHECK(moved < 600);
    CHECK(layer.read(*table, "etc/many") == std::string(9000, 'a') + std::string(7000, 'b') + "end");
    CHECK(layer.read(*table, "etc/empty") == "");
    CHECK_FALSE(layer.read(*table, "etc/link"));
    CHECK_FALSE(layer.read(*table, "etc"));
  }
}

TEST_CASE("pieces that are not what the table says are not given out whole") {
  for (const Compression how : kBoth) {
    Chunked layer = usual(how);
    layer.finish();
    const auto table = layer.table();
    REQUIRE(table);
    const ForeignChunk piece = table->chunks.at(table->table.find("etc/many")).at(1);
    for (std::uint64_t at = piece.blob_offset; at < piece.blob_end; at += 7) {
      const char kept = std::exchange(layer.blob[at], static_cast<char>(layer.blob[at] ^ 0x20));
      const auto read = layer.read(*table, "etc/many");
      CHECK((!read || *read == std::string(9000, 'a') + std::string(7000, 'b') + "end"));
      layer.blob[at] = kept;
    }
    layer.blob.replace(piece.blob_offset, piece.blob_end - piece.blob_offset, piece.blob_end - piece.blob_offset, 'x');
    CHECK_FALSE(layer.read(*table, "etc/many"));
    CHECK(layer.read(*table, "etc/one"));
  }
}

TEST_CASE("a foreign table that does not hold is none") {
  struct Row {
    const char* name;
    std::function<void(Chunked&)> before = nullptr, after = nullptr;
  };
  const auto damage = [](Chunked& c) {
    for (std::size_t at = c.blob.size() - 120; at < c.blob.size() - 60; ++at) c.blob[at] ^= 0x11;
  };
  const Row rows[] = {
      {"another digest", nullptr,
       [](Chunked& c) {
         for (auto& [name, value] : c.layer.annotations)
           if (value.starts_with("sha256:")) value = sha256("other").str();
       }},
      {"damaged list", nullptr, damage},
      {"cut", nullptr, [](Chunked& c) { c.blob.resize(c.blob.size() - 100); }},
      {"a smaller size", nullptr, [](Chunked& c) { c.layer.size = 40; }},
      {"a place outside", nullptr,
       [](Chunked& c) {
         c.layer.annotations["io.github.containers.zstd-chunked.manifest-position"] = "99999999999:100:100:1";
         if (c.how == Compression::gzip) c.blob.replace(c.blob.size() - 35, 16, "ffffffffffffffff");
       }},
      {"not JSON", [](Chunked& c) { c.entry("{"); }},
      {"an entry that is not an object", [](Chunked& c) { c.entry("7"); }},
      {"an unknown type", [](Chunked& c) { c.entry(R"({"name":"x","type":"door"})"); }},
      {"a name twice", [](Chunked& c) { c.file("etc/one", {"another\n"}); }},
      {"a name through a link",
       [](Chunked& c) {
         c.entry(R"({"name":"way","type":"symlink","linkName":"etc"})");
         c.file("way/one", {"elsewhere\n"});
       }},
      {"a file in the place of a directory", [](Chunked& c) { c.file("etc", {"x"}); }},
      {"a way out",
       [](Chunked& c) {
         c.file("../../etc/passwd", {"x"});
         c.file("etc/passwd", {"y"});
       }},
      {"a piece of nothing",
       [](Chunked& c) {
         c.entry(R"({"name":"etc","type":"dir"})");
         c.entry(R"({"name":"x","type":"chunk"})");
       }},
      {"a negative size", [](Chunked& c) { c.entry(R"({"name":"x","type":"reg","size":-5})"); }},
      {"a huge piece",
       [](Chunked& c) {
         c.entry(R"({"name":"x","type":"reg","size":5,"offset":1})");
         c.entry(R"({"name":"x","type":"chunk","offset":3,"chunkOffset":9,"chunkSize":1})");
       }},
      {"an invalid time", [](Chunked& c) { c.entry(R"({"name":"x","type":"dir","modtime":"yesterday"})"); }},
      {"a name that JSON cannot hold", [](Chunked& c) { c.file("et\xef\xbf\xbd", {"x"}); }},
      {"a name twice, once as a link",
       [](Chunked& c) { c.entry(R"({"name":"etc/one","type":"hardlink","linkName":"big"})"); }},
      {"a hard link to nothing", [](Chunked& c) { c.entry(R"({"name":"x","type":"hardlink","linkName":"y"})"); }},
      {"a hard link to itself", [](Chunked& c) { c.entry(R"({"name":"x","type":"hardlink","linkName":"x"})"); }},
      {"links in a circle",
       [](Chunked& c) {
         c.entry(R"({"name":"x","type":"symlink","linkName":"y"})");
         c.entry(R"({"name":"y","type":"symlink","linkName":"x"})");
         c.file("x/z", {"x"});
       }},
      {"a file below a file", [](Chunked& c) { c.file("big/x", {"x"}); }},
      {"a huge file",
       [](Chunked& c) { c.entry(R"({"name":"x","type":"reg","size":9223372036854775807,"offset":1})"); }},
      {"a size that is not an integer", [](Chunked& c) { c.entry(R"({"name":"x","type":"reg","size":1e300})"); }},
      {"a size over 64 bits", [](Chunked& c) { c.entry(R"({"name":"x","type":"reg","size":18446744073709551615})"); }},
      {"a negative offset", [](Chunked& c) { c.entry(R"({"name":"x","type":"reg","size":5,"offset":-1})"); }},
      {"a long name", [](Chunked& c) { c.entry(cat(R"({"name":")", std::string(5000, 'n'), R"(","type":"dir"})")); }},
      {"an entry of very many values",
       [](Chunked& c) {
         std::string many;
         for (int i = 0; i < 20'000; ++i) many += cat(i == 0 ? "" : ",", "\"", i, "\":\"\"");
         c.entry(cat(R"({"name":"x","type":"dir","xattrs":{)", many, "}}"));
       }},
      {"a deep entry",
       [](Chunked& c) {
         c.entry(cat(R"({"name":"x","type":"dir","xattrs":)", std::string(200, '['), std::string(200, ']'), "}"));
       }},
      {"a whiteout below a link", [](Chunked& c) { c.entry(R"({"name":"etc/link/.wh.x","type":"reg"})"); }},
      {"a name that no archive can hold", [](Chunked& c) { c.entry(R"({"name":"x\u0000y","type":"dir"})"); }},
      {"a target that no archive can hold",
       [](Chunked& c) { c.entry(R"({"name":"x","type":"symlink","linkName":"\u0000"})"); }},
      {"an xattr that no archive can hold",
       [](Chunked& c) { c.entry(R"({"name":"x","type":"dir","xattrs":{"user.\u0000":"Yg=="}})"); }},
      {"an owner over 32 bits", [](Chunked& c) { c.entry(R"({"name":"x","type":"dir","uid":4294967303})"); }},
      {"a device that Linux has not", [](Chunked& c) { c.entry(R"({"name":"x","type":"char","devMajor":4096})"); }},
      {"another version", [](Chunked& c) { c.version = 2; }},
      {"an invalid xattr", [](Chunked& c) { c.entry(R"({"name":"x","type":"dir","xattrs":{"user.a":"?"}})"); }},
  };
  for (const Row& row : rows) {
    for (const Compression how : kBoth) {
      const std::string name = row.name;
      CAPTURE(name);
      Chunked layer = usual(how);
      if (row.before) row.before(layer);
      layer.finish();
      if (row.after) row.after(layer);
      CHECK_FALSE(layer.table());
    }
  }
  Chunked plain = usual(Compression::gzip);
  plain.finish();
  plain.layer.annotations.clear();
  CHECK(table_claim(plain.layer).empty());
  CHECK_FALSE(plain.table());
  plain.finish();
  CHECK_FALSE(read_foreign_table(plain.layer, [](std::uint64_t, std::uint64_t) { return std::nullopt; }));
}

TEST_CASE("files that lie together are read at once") {
  for (const Compression how : kBoth) {
    Chunked layer{how};
    std::vector<std::string> names;
    for (int i = 0; i < 50; ++i) {
      names.push_back(cat("near", i));
      layer.file(names.back(), {cat("content ", i)});
    }
    std::string noise;  // no compression makes it smaller
    while (noise.size() < 200'000) noise += sha256(noise + "x").hex();
    layer.file("between", {noise});
    layer.file("far", {"far content"});
    layer.finish();
    const auto table = layer.table();
    REQUIRE(table);
    std::vector<std::uint32_t> nodes;
    for (const std::string& name : names) nodes.push_back(table->table.find(name));
    const auto near = plan_reads(*table, nodes);
    REQUIRE(near);
    CHECK(near->size() == 1);
    nodes.push_back(table->table.find("far"));
    nodes.push_back(nodes.back());
    const auto both = plan_reads(*table, nodes);
    REQUIRE(both);
    CHECK(both->size() == 2);
    std::map<std::uint32_t, std::string> found;
    for (const ForeignRange& range : *both)
      CHECK(read_pieces(range, layer.range(),
                        [&](std::uint32_t node, std::uint64_t, std::string_view bytes) { found[node] += bytes; }));
    CHECK(found.size() == 51);
    CHECK(found.at(table->table.find("near7")) == "content 7");
    CHECK(found.at(table->table.find("far")) == "far content");
    CHECK_FALSE(plan_reads(*table, {LayerTable::kNone}));
    CHECK_FALSE(plan_reads(*table, {LayerTable::kRoot}));
  }
}

TEST_CASE("what would be decoded is bounded, however often the same bytes are named") {
  Chunked layer{Compression::zstd};
  const std::string zeros(16u << 20, '\0');
  layer.file("first", {zeros});
  const std::string piece = cat(R"("size":)", zeros.size(), R"(,"offset":0,"digest":")", sha256(zeros).str(), "\"}");
  for (int i = 0; i < 100; ++i) layer.entry(cat(R"({"name":"again)", i, R"(","type":"reg",)", piece));
  layer.finish();
  const auto table = layer.table();
  REQUIRE(table);
  std::vector<std::uint32_t> nodes;
  for (const auto& [node, chunks] : table->chunks) nodes.push_back(node);
  CHECK(nodes.size() == 101);
  CHECK_FALSE(plan_reads(*table, nodes));
  nodes.resize(10);
  CHECK(plan_reads(*table, nodes));
}

TEST_CASE("a table of both kinds of annotations is that of zstd:chunked") {
  Chunked layer = usual(Compression::zstd);
  layer.finish();
  layer.layer.annotations[std::string(kStargzTable)] = sha256("of the document").str();
  const auto table = layer.table();
  REQUIRE(table);
  CHECK(table->table.find("stargz.index.json") == LayerTable::kNone);
}

TEST_CASE("a file with pieces missing is in the table but cannot be read by pieces") {
  for (const char* pieces : {R"("size":9,"offset":0,"chunkSize":4)", R"("size":9,"offset":0)",
                             R"("size":9,"offset":0,"chunkType":"zeros")"}) {
    Chunked layer = usual(Compression::zstd);
    layer.entry(cat(R"({"name":"gap","type":"reg",)", pieces, "}"));
    layer.finish();
    const auto table = layer.table();
    REQUIRE(table);
    CHECK(table->table.nodes[table->table.find("gap")].size == 9);
    CHECK_FALSE(layer.read(*table, "gap"));
  }
}

}  // namespace cbuild::oci::layer
