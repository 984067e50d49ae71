// SPDX-License-Identifier: Apache-2.0
// BuildKit's client.SolveStatus has four lists: vertexes (each time whole, as its state changes), statuses (counters of
// a vertex), logs and warnings; bytes are in base64. Events of ours that it has no place for become vertexes: a note is
// one that is over at once, as buildx shows its own messages, and a Dockerfile is one that its findings belong to.
#include "cli/report/progress_solve_status.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/warning_json.h"

namespace cbuild::cli {

using StatusJson = nlohmann::ordered_json;

namespace {

std::string_view prefix_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "ERROR: ";
    case Severity::warning:
      return "WARNING: ";
    case Severity::note:
      break;
  }
  return "";
}

}  // namespace

SolveStatusLines::SolveStatusLines(int fd) : fd_(fd), clock_offset_ns_(sys::now_ns() - sys::monotonic_ns()) {}

void SolveStatusLines::on_event(const ProgressEvent& event) {
  const std::lock_guard lock(mutex_);
  std::visit([this](const auto& e) { handle(e); }, event);
}

std::string SolveStatusLines::time_text(std::int64_t monotonic_ns) const {
  return format_rfc3339_ns(monotonic_ns + clock_offset_ns_);
}

std::string SolveStatusLines::digest_for(const std::string& name) {
  return sha256(cat("cbuild vertex ", names_[name]++, "\n", name)).str();
}

void SolveStatusLines::write(const char* list, StatusJson entry) {
  StatusJson line = StatusJson::object();
  line[list].push_back(std::move(entry));
  try {
    sys::write_all(fd_, line.dump(-1, ' ', false, StatusJson::error_handler_t::replace) + "\n");
  } catch (const Error&) {
    // Nobody reads any more; the build goes on.
  }
}

void SolveStatusLines::tell(const Vertex& vertex) {
  told_.insert(vertex.digest);
  StatusJson json = {{"digest", vertex.digest}};
  if (!vertex.inputs.empty()) json["inputs"] = vertex.inputs;
  json["name"] = vertex.name;
  if (!vertex.started.empty()) json["started"] = vertex.started;
  if (!vertex.completed.empty()) json["completed"] = vertex.completed;
  if (vertex.cached) json["cached"] = true;
  if (!vertex.error.empty()) json["error"] = vertex.error;
  write("vertexes", std::move(json));
}

void SolveStatusLines::handle(const TaskAdded& event) {
  Vertex& vertex = vertexes_[event.id];
  vertex = {};
  vertex.name = event.name;
  vertex.digest = event.digest.empty() ? digest_for(event.name) : event.digest.str();
  for (const Digest& input : event.inputs)
    if (told_.contains(input.str())) vertex.inputs.push_back(input.str());  // others are not shown
  tell(vertex);
}

void SolveStatusLines::handle(const TaskStarted& event) {
  Vertex& vertex = vertexes_[event.id];
  vertex.started = time_text(event.time_ns);
  tell(vertex);
}

void SolveStatusLines::handle(const TaskFinished& event) {
  Vertex& vertex = vertexes_[event.id];
  vertex.completed = time_text(event.time_ns);
  if (vertex.started.empty()) vertex.started = vertex.completed;
  vertex.cached = event.state == TaskState::cached;
  if (event.state == TaskState::failed) vertex.error = event.error.empty() ? "failed" : event.error;
  if (event.state == TaskState::cancelled) vertex.error = "context canceled";  // as BuildKit says it
  tell(vertex);
}

void SolveStatusLines::handle(const TaskLog& event) {
  write("logs", {{"vertex", vertexes_[event.id].digest},
                 {"stream", static_cast<int>(event.stream)},
                 {"data", base64_encode(event.data)},
                 {"timestamp", time_text(event.time_ns)}});
}

void SolveStatusLines::handle(const TaskCounter& event) {
  Vertex& vertex = vertexes_[event.id];
  const std::string now = time_text(sys::monotonic_ns());
  const std::string& begun = vertex.items.emplace(event.item, now).first->second;
  StatusJson json = {{"id", event.item}, {"vertex", vertex.digest}, {"name", event.item}};
  if (event.total != 0) json["total"] = event.total;
  json["current"] = event.current;
  json["timestamp"] = now;
  json["started"] = begun;
  if (event.done) json["completed"] = now;
  write("statuses", std::move(json));
}

void SolveStatusLines::handle(const RunNote& event) {
  Vertex vertex;
  vertex.name = cat(prefix_of(event.severity), event.text);
  vertex.digest = digest_for(vertex.name);
  vertex.started = vertex.completed = time_text(sys::monotonic_ns());
  tell(vertex);
}

void SolveStatusLines::tell_source(const SourceText& source, const std::string& error) {
  Vertex vertex;
  vertex.digest = source_vertex(source).str();
  vertex.name = cat("[internal] load build definition from ", source.name());
  vertex.started = vertex.completed = time_text(sys::monotonic_ns());
  vertex.error = error;
  if (!told_.contains(vertex.digest) || !error.empty()) tell(vertex);
}

void SolveStatusLines::handle(const RunDiagnostic& event) {
  const Diagnostic& diagnostic = event.diagnostic;
  const bool finding = !diagnostic.rule.empty();
  if (diagnostic.span) tell_source(*diagnostic.span.source, finding ? std::string() : render(diagnostic));
  if (finding) return write("warnings", warning_json(diagnostic));
  if (!diagnostic.span) handle(RunNote{diagnostic.severity, diagnostic.message});
}

}  // namespace cbuild::cli
