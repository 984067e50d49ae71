// SPDX-License-Identifier: Apache-2.0
// Each event becomes one message. A vertex is told whole each time its state changes, as clients expect it; notes of
// the whole build become vertexes that are over at once, and a Dockerfile is one that its findings belong to. The
// messages are kept until the build is forgotten, since a client may begin to read late; of the output of steps only
// kMostLogBytes are.
#include "api/daemon/status_log.h"

#include <utility>

#include "api/proto/control.pb.h"
#include "base/digest.h"
#include "base/sys.h"
#include "base/text.h"
#include "frontend/syntax/check.h"

namespace cbuild::api {

namespace v1 = moby::buildkit::v1;

namespace {

constexpr std::size_t kMostLogBytes = 256u << 20;

void set_time(google::protobuf::Timestamp& out, std::int64_t ns) {
  out.set_seconds(ns / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

std::string note_text(const RunNote& note) {
  switch (note.severity) {
    case Severity::error:
      return cat("ERROR: ", note.text);
    case Severity::warning:
      return cat("WARNING: ", note.text);
    case Severity::note:
      break;
  }
  return note.text;
}

void set_place(const Span& span, v1::VertexWarning& out) {
  out.mutable_info()->set_filename(span.source->name());
  out.mutable_info()->set_data(span.source->text());
  out.mutable_info()->set_language("Dockerfile");
  pb::Range& range = *out.add_ranges();
  range.mutable_start()->set_line(static_cast<int>(span.source->position(span.begin).line));
  range.mutable_end()->set_line(
      static_cast<int>(span.source->position(span.end > span.begin ? span.end - 1 : span.begin).line));
}

}  // namespace

struct StatusLog::Task {
  v1::Vertex vertex;
  std::map<std::string, std::int64_t> items;  ///< when a counter began
};

std::string source_vertex_digest(const SourceText& source) { return sha256(source.text()).str(); }

StatusLog::StatusLog() : clock_offset_ns_(sys::now_ns() - sys::monotonic_ns()) {}
StatusLog::~StatusLog() = default;

void StatusLog::on_event(const ProgressEvent& event) {
  auto message = std::make_shared<Response>();
  const std::lock_guard lock(mutex_);
  std::visit([&](const auto& e) { handle(e, *message); }, event);
  if (message->ByteSizeLong() == 0) return;
  messages_.push_back(std::move(message));
  changed_.notify_all();
}

void StatusLog::close() {
  const std::lock_guard lock(mutex_);
  auto message = std::make_shared<Response>();
  for (auto& [id, task] : tasks_) {
    if (!task->vertex.has_started() || task->vertex.has_completed()) continue;
    set_time(*task->vertex.mutable_completed(), sys::now_ns());
    *message->add_vertexes() = task->vertex;
  }
  if (message->vertexes_size() > 0) messages_.push_back(std::move(message));
  closed_ = true;
  changed_.notify_all();
}

std::vector<StatusLog::Message> StatusLog::read(std::size_t from, std::chrono::milliseconds patience, bool& ended) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return closed_ || from < messages_.size(); });
  ended = closed_;
  if (from >= messages_.size()) return {};
  return {messages_.begin() + static_cast<std::ptrdiff_t>(from), messages_.end()};
}

void StatusLog::handle(const TaskAdded& event, Response& out) {
  auto& task = tasks_[event.id];
  task = std::make_unique<Task>();
  v1::Vertex& vertex = task->vertex;
  vertex.set_name(event.name);
  vertex.set_digest(event.digest.empty() ? sha256(cat("vertex ", names_[event.name]++, "\n", event.name)).str()
                                         : event.digest.str());
  for (const Digest& input : event.inputs)
    if (told_.contains(input.str())) vertex.add_inputs(input.str());
  told_.insert(vertex.digest());
  *out.add_vertexes() = vertex;
}

void StatusLog::handle(const TaskStarted& event, Response& out) {
  const auto task = tasks_.find(event.id);
  if (task == tasks_.end()) return;
  set_time(*task->second->vertex.mutable_started(), event.time_ns + clock_offset_ns_);
  *out.add_vertexes() = task->second->vertex;
}

void StatusLog::handle(const TaskFinished& event, Response& out) {
  const auto task = tasks_.find(event.id);
  if (task == tasks_.end()) return;
  v1::Vertex& vertex = task->second->vertex;
  set_time(*vertex.mutable_completed(), event.time_ns + clock_offset_ns_);
  if (!vertex.has_started()) *vertex.mutable_started() = vertex.completed();
  vertex.set_cached(event.state == TaskState::cached);
  if (event.state == TaskState::failed) vertex.set_error(event.error.empty() ? "failed" : event.error);
  if (event.state == TaskState::cancelled) vertex.set_error("context canceled");
  *out.add_vertexes() = vertex;
}

void StatusLog::handle(const TaskLog& event, Response& out) {
  const auto task = tasks_.find(event.id);
  if (task == tasks_.end() || log_bytes_ > kMostLogBytes) return;
  log_bytes_ += event.data.size();
  v1::VertexLog& log = *out.add_logs();
  log.set_vertex(task->second->vertex.digest());
  log.set_stream(static_cast<std::int64_t>(event.stream));
  log.set_msg(std::string(event.data));
  set_time(*log.mutable_timestamp(), event.time_ns + clock_offset_ns_);
}

void StatusLog::handle(const TaskCounter& event, Response& out) {
  const auto task = tasks_.find(event.id);
  if (task == tasks_.end()) return;
  const std::int64_t now = sys::now_ns();
  v1::VertexStatus& status = *out.add_statuses();
  status.set_id(event.item);
  status.set_name(event.item);
  status.set_vertex(task->second->vertex.digest());
  status.set_current(static_cast<std::int64_t>(event.current));
  status.set_total(static_cast<std::int64_t>(event.total));
  set_time(*status.mutable_timestamp(), now);
  set_time(*status.mutable_started(), task->second->items.emplace(event.item, now).first->second);
  if (event.done) set_time(*status.mutable_completed(), now);
}

void StatusLog::handle(const TaskUse&, Response&) {}

void StatusLog::handle(const RunNote& event, Response& out) {
  v1::Vertex& vertex = *out.add_vertexes();
  vertex.set_name(note_text(event));
  vertex.set_digest(sha256(cat("note ", names_[vertex.name()]++, "\n", vertex.name())).str());
  set_time(*vertex.mutable_started(), sys::now_ns());
  *vertex.mutable_completed() = vertex.started();
}

void StatusLog::tell_source(const SourceText& source, const std::string& error, Response& out) {
  const std::string digest = source_vertex_digest(source);
  if (!told_.insert(digest).second && error.empty()) return;
  v1::Vertex& vertex = *out.add_vertexes();
  vertex.set_digest(digest);
  vertex.set_name(cat("[internal] load build definition from ", source.name()));
  set_time(*vertex.mutable_started(), sys::now_ns());
  *vertex.mutable_completed() = vertex.started();
  vertex.set_error(error);
}

void StatusLog::handle(const RunDiagnostic& event, Response& out) {
  const Diagnostic& diagnostic = event.diagnostic;
  if (!diagnostic.span) return handle(RunNote{diagnostic.severity, diagnostic.message}, out);
  const bool is_finding = !diagnostic.rule.empty();
  tell_source(*diagnostic.span.source, is_finding ? std::string() : render(diagnostic), out);
  if (!is_finding) return;
  v1::VertexWarning& warning = *out.add_warnings();
  warning.set_vertex(source_vertex_digest(*diagnostic.span.source));
  warning.set_level(1);
  warning.set_short_(frontend::finding_line(diagnostic));
  if (const frontend::CheckRule* rule = frontend::find_rule(diagnostic.rule)) {
    warning.add_detail(std::string(rule->description));
    warning.set_url(rule->url());
  }
  set_place(diagnostic.span, warning);
}

}  // namespace cbuild::api
