// SPDX-License-Identifier: Apache-2.0
#include "solver/keys.h"

#include <variant>

#include "base/error.h"
#include "base/text.h"

// Both keys are H(op bytes, one entry per input); they differ in what stands for an input. The definition key
// takes the input's own definition key and the place that is read, so it needs no result; the content key
// takes what is read and not where it lay.
namespace cbuild::solver {

namespace {

constexpr std::uint64_t kKeyFormat = 1;
enum InputTag : std::uint8_t { kAbsent, kLocal, kDefinition, kWhole, kSelected };

CanonicalWriter begin_key(const char* kind, const Vertex& vertex) {
  CanonicalWriter writer;
  writer.text(kind).number(kKeyFormat).text(canonical(vertex.op)).number(vertex.inputs.size());
  return writer;
}

std::string input_label(const Graph& graph, const Vertex& vertex, std::size_t index) {
  return cat("input ", index, " (", graph[vertex.inputs[index]].name, ')');
}

/// Argument lists and scripts in full would bloat every record; a digest tells as well that they changed.
KeyPart text_part(std::string label, std::string text) {
  constexpr std::size_t kShort = 200;
  if (text.size() > kShort) text = sha256(text).str();
  return {std::move(label), std::move(text)};
}

void add_exec_parts(const ExecOp& exec, std::vector<KeyPart>& parts) {
  parts.push_back(text_part("command", join(exec.argv, " ")));
  for (const std::string& variable : exec.environment) {
    const std::size_t end = variable.find('=');
    const std::string value = end == std::string::npos ? "" : variable.substr(end + 1);
    parts.push_back({cat("variable ", variable.substr(0, end)), sha256(value).str()});
  }
  parts.push_back({"user", exec.user});
  parts.push_back({"working directory", exec.working_dir});
  parts.push_back({"platform", exec.platform});
  for (const InlineFile& file : exec.files)
    parts.push_back({cat("file ", file.path), sha256(file.content).str()});
}

void add_file_parts(const FileOp& file, std::vector<KeyPart>& parts) {
  for (const FileAction& action : file.actions) {
    if (const auto* copy = std::get_if<CopyAction>(&action)) {
      parts.push_back({cat("chown of ", copy->destination), copy->chown});
      parts.push_back({cat("chmod of ", copy->destination), copy->chmod});
    } else if (const auto* made = std::get_if<MakeFileAction>(&action)) {
      parts.push_back({cat("file ", made->path), sha256(made->content).str()});
    }
  }
}

}  // namespace

LocalSelections::Key LocalSelections::key(VertexId reader, std::size_t index) const {
  const Vertex& vertex = graph_[reader];
  return {vertex.inputs[index], canonical(local_selector(vertex.op, index))};
}

const LocalSelections::Entry& LocalSelections::add(VertexId reader, std::size_t index) {
  Key wanted = key(reader, index);
  if (const auto found = entries_.find(wanted); found != entries_.end()) return found->second;
  Entry entry;
  const Vertex& source = graph_[wanted.first];
  entry.digest = executor_.digest_local(source, local_selector(graph_[reader].op, index), &entry.parts);
  return entries_.emplace(std::move(wanted), std::move(entry)).first->second;
}

const LocalSelections::Entry& LocalSelections::at(VertexId reader, std::size_t index) const {
  const auto found = entries_.find(key(reader, index));
  CBUILD_CHECK(found != entries_.end());
  return found->second;
}

bool is_local_input(const Graph& graph, VertexId reader, std::size_t index) {
  const VertexId input = graph[reader].inputs[index];
  return input != kNoInput && std::holds_alternative<LocalSource>(graph[input].op);
}

Digest definition_key(const Graph& graph, VertexId id, const std::vector<Digest>& keys,
                      LocalSelections& locals) {
  const Vertex& vertex = graph[id];
  if (std::holds_alternative<LocalSource>(vertex.op)) return {};
  CanonicalWriter writer = begin_key("cbuild.definition", vertex);
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i) {
    if (vertex.inputs[i] == kNoInput) {
      writer.tag(kAbsent);
    } else if (is_local_input(graph, id, i)) {
      writer.tag(kLocal).digest(locals.add(id, i).digest);
    } else {
      writer.tag(kDefinition).text(canonical(selector(vertex.op, i))).digest(keys[vertex.inputs[i]]);
    }
  }
  return writer.hash();
}

ContentKey content_key(const Graph& graph, VertexId id, const std::vector<Result>& inputs,
                       const LocalSelections& locals, Executor& executor) {
  const Vertex& vertex = graph[id];
  CanonicalWriter writer = begin_key("cbuild.content", vertex);
  ContentKey result;
  result.parts = op_parts(vertex.op);
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i) {
    if (vertex.inputs[i] == kNoInput) {
      writer.tag(kAbsent);
      continue;
    }
    const Selector wanted = selector(vertex.op, i);
    std::vector<KeyPart> read;
    Digest digest;
    if (is_local_input(graph, id, i)) {
      digest = locals.at(id, i).digest;
      read = locals.at(id, i).parts;
      writer.tag(kLocal);
    } else if (wanted.kind == Selector::Kind::whole) {
      digest = inputs[i].identity;
      writer.tag(kWhole);
    } else {
      digest = executor.digest_result(inputs[i], wanted, &read);
      writer.tag(kSelected);
    }
    writer.digest(digest);
    if (read.empty()) read.push_back({input_label(graph, vertex, i), digest.str()});
    result.parts.insert(result.parts.end(), read.begin(), read.end());
  }
  result.key = writer.hash();
  return result;
}

std::vector<KeyPart> op_parts(const Op& op) {
  std::vector<KeyPart> parts;
  if (const auto* exec = std::get_if<ExecOp>(&op)) add_exec_parts(*exec, parts);
  if (const auto* file = std::get_if<FileOp>(&op)) add_file_parts(*file, parts);
  parts.push_back({"op", sha256(canonical(op)).str()});
  return parts;
}

}  // namespace cbuild::solver
