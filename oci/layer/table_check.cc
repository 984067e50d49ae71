// SPDX-License-Identifier: Apache-2.0
// Compares a table with the tree that unpack() makes of the same archive: both are written as sorted lines, one for
// each entry. Called for ordinary and hostile archives, so that the rules of both cannot drift apart.
#include "oci/layer/test_support.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/table_codec.h"
#include "oci/layer/table_recorder.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer::test {
namespace {

using Visit = std::function<void(const std::string& path, std::uint32_t node)>;

/// In the order of TreeWalk.
void walk_table(const LayerTable& table, const Visit& visit, std::uint32_t directory = LayerTable::kRoot,
                const std::string& path = "") {
  for (const TableName& name : table.children(directory)) {
    const std::string below = path.empty() ? name.name : cat(path, "/", name.name);
    visit(below, name.node);
    if (table.nodes[name.node].is_directory()) walk_table(table, visit, name.node, below);
  }
}

std::string content_of(const TableNode& node, std::string_view archive) {
  std::string out(node.size, '\0');
  for (const TableExtent& extent : node.extents)
    out.replace(extent.file_offset, extent.size, archive.substr(extent.archive_offset, extent.size));
  return out;
}

std::string describe_node(const TableNode& node, std::string_view archive) {
  std::string line = cat(" ", type_bits(node.type) | node.mode, " ", node.uid, ":", node.gid);
  if (!node.implied) line += cat(" mtime ", node.mtime_s, ".", node.mtime_ns);
  if (node.type == EntryType::file) line += cat(" size ", node.size, " ", sha256(content_of(node, archive)).hex());
  if (node.type == EntryType::symlink) line += cat(" -> ", node.link_target);
  if (node.type == EntryType::char_device || node.type == EntryType::block_device)
    line += cat(" dev ", makedev(node.device_major, node.device_minor));
  return line;
}

std::string describe_xattrs(const TableNode& node) {
  std::vector<sys::Xattr> xattrs = node.xattrs;
  if (node.opaque) xattrs.push_back({"trusted.overlay.opaque", "y"});
  std::sort(xattrs.begin(), xattrs.end());
  std::string out;
  for (const sys::Xattr& xattr : xattrs) out += cat(" ", xattr.name, "=", go_quote(xattr.value));
  return out;
}

std::optional<std::vector<std::string>> unpacked(std::string_view archive, std::uint64_t max_bytes,
                                                 const LayerTable* table) {
  const TempDir target = TempDir::in_tmp("cbuild-table");
  UnpackOptions options;
  options.max_bytes = max_bytes;
  try {
    unpack(memory_file(archive).get(), target.fd(), options);
  } catch (const Error&) {
    return std::nullopt;
  }
  REQUIRE(table);
  return without_implied_times(*table, describe_tree(target.fd()));
}

}  // namespace

std::vector<std::string> describe_table(const LayerTable& table, std::string_view archive) {
  std::vector<std::string> lines;
  std::map<std::uint32_t, std::string> links;
  walk_table(table, [&](const std::string& path, std::uint32_t index) {
    const TableNode& node = table.nodes[index];
    std::string line = path + describe_node(node, archive);
    if (!node.is_directory() && node.names > 1) line += cat(" = ", links.try_emplace(index, path).first->second);
    lines.push_back(line + describe_xattrs(node));
  });
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> without_implied_times(const LayerTable& table, std::vector<std::string> lines) {
  std::set<std::string> implied;
  walk_table(table, [&](const std::string& path, std::uint32_t node) {
    if (table.nodes[node].implied) implied.insert(path);
  });
  for (std::string& line : lines) {
    const std::size_t at = line.find(" mtime ");
    // A name may look like the rest of a line.
    const bool cut = std::any_of(implied.begin(), implied.end(), [&](const std::string& path) {
      return line.starts_with(path + " ") && line.find(' ', path.size() + 1) < at &&
             line.find(' ', line.find(' ', path.size() + 1) + 1) == at;
    });
    if (cut)
      line.erase(at, line.find(' ', at + 7) == std::string::npos ? std::string::npos : line.find(' ', at + 7) - at);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void check_table(std::string_view archive, std::uint64_t max_bytes) {
  if (!is_root()) return;
  std::optional<LayerTable> table;
  std::string plain, refusal;
  try {
    TableOptions options;
    options.content_digests = true;
    options.max_bytes = max_bytes;
    PassOptions pass;
    pass.max_bytes = max_bytes;
    pass.uncompressed = collect(plain);
    table = read_table(memory_file(archive).get(), options, pass);
  } catch (const Error& error) {
    refusal = error.what();
  }
  CAPTURE(refusal);
  const auto expected = unpacked(archive, max_bytes, table ? &*table : nullptr);
  REQUIRE(expected.has_value() == table.has_value());
  if (!table) return;
  CHECK(join(describe_table(*table, plain), "\n") == join(*expected, "\n"));
  CHECK(table->diff_id == sha256(plain));
  CHECK(table->archive_size == plain.size());
  CHECK(decode_table(encode_table(*table)) == *table);
  for (const TableNode& node : table->nodes)
    if (node.content) CHECK(*node.content == sha256(content_of(node, plain)));
}

}  // namespace cbuild::oci::layer::test
