// SPDX-License-Identifier: Apache-2.0
//
// The picture is computed as a value (draw) and put on the screen in one write: cursor up over the last picture, new
// lines, each cleared to its end. The tail of running steps shrinks first when the window is small.
#include "cli/report/progress_tty.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/progress_views.h"
#include "cli/report/use_text.h"
#include "frontend/syntax/check.h"

namespace cbuild::cli {
namespace {

constexpr auto kFrame = std::chrono::milliseconds(100);

struct Colors {
  std::string run, error, cancel, warning, dim, reset;
};

/// Shown of a step's output; BUILDKIT_TTY_LOG_LINES, as BuildKit has it.
std::size_t tail_lines() {
  const char* text = std::getenv("BUILDKIT_TTY_LOG_LINES");
  const auto value = text == nullptr ? std::nullopt : parse_int(text);
  return static_cast<std::size_t>(value && *value > 0 && *value < 10'000 ? *value : 6);
}

/// A colour's name or "R,G,B"; empty for anything else.
std::string color_code(const std::string& text) {
  constexpr std::array<std::string_view, 8> kNames = {"black", "red",     "green", "yellow",
                                                      "blue",  "magenta", "cyan",  "white"};
  const bool light = text.starts_with("light-");
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (text.substr(light ? 6 : 0) == kNames[i]) return cat("\x1b[", (light ? 90 : 30) + i, "m");
  const std::vector<std::string> parts = split(text, ',');
  std::int64_t code = 0;
  for (const std::string& part : parts) {
    const auto value = parse_int(part);
    if (parts.size() != 3 || !value || *value < 0 || *value > 255) return {};
    code = code * 6 + *value * 6 / 256;
  }
  return cat("\x1b[38;5;", 16 + code, "m");
}

/// BUILDKIT_COLORS is "run=green:error=255,0,0:..."; NO_COLOR wins.
Colors colors_of_environment() {
  const char* none = std::getenv("NO_COLOR");
  if (none != nullptr && *none != '\0') return {};
  Colors colors{"\x1b[34m", "\x1b[31m", "\x1b[33m", "\x1b[33m", "\x1b[2m", "\x1b[0m"};
  const char* given = std::getenv("BUILDKIT_COLORS");
  for (const std::string& field : split(to_lower(given == nullptr ? "" : given), ':')) {
    const std::size_t equals = field.find('=');
    const std::string code = equals == std::string::npos ? std::string() : color_code(field.substr(equals + 1));
    if (code.empty()) continue;
    const std::string key = field.substr(0, equals);
    if (key == "run") colors.run = code;
    if (key == "error") colors.error = code;
    if (key == "cancel") colors.cancel = code;
    if (key == "warning") colors.warning = code;
  }
  return colors;
}

/// Columns that a UTF-8 text takes, counting code points; wide glyphs are rare in build output.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string clip(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  std::string out;
  std::size_t used = 0;
  for (const char c : text) {
    if ((c & 0xC0) != 0x80 && ++used >= width) break;
    out += c;
  }
  return out + "…";
}

std::string with_right(std::string left, const std::string& right, std::size_t width) {
  const std::size_t room = width > right.size() + 1 ? width - right.size() - 1 : 0;
  left = clip(left, room);
  return cat(left, std::string(room - columns(left) + 1, ' '), right);
}

std::string counter_line(const TaskCounter& counter) {
  std::string item = counter.item;
  if (const std::size_t at = item.find("sha256:"); at != std::string::npos) item.resize(std::min(item.size(), at + 19));
  std::string line = cat(item, ' ', counter.bytes ? format_size(counter.current) : std::to_string(counter.current));
  if (counter.total != 0)
    line += cat(" / ", counter.bytes ? format_size(counter.total) : std::to_string(counter.total));
  return line;
}

bool is_cached(const TaskView& task) { return task.phase == TaskView::Phase::done && task.state == TaskState::cached; }

/// Whether the step ran and is said to have had a reason.
bool has_reason(const TaskView& task) {
  return task.phase == TaskView::Phase::done && !is_cached(task) && task.state != TaskState::cancelled &&
         !task.note.empty();
}

std::string why_line(const TaskView& task, std::size_t width, const Colors& c) {
  return cat(c.dim, clip(cat(" => => why: ", task.note), width), c.reset);
}

std::string label_of(const TaskView& task) {
  if (task.phase != TaskView::Phase::done) return task.name;
  if (task.state == TaskState::cached) return cat("CACHED ", task.name);
  if (task.state == TaskState::failed) return cat("ERROR ", task.name);
  if (task.state == TaskState::cancelled) return cat("CANCELED ", task.name);
  return task.name;
}

/// The line of a step. The reason why it ran stands in it if there is room, otherwise below it, in the last picture
/// only: before, the lines are needed for running steps.
std::vector<std::string> step_lines(const TaskView& task, const Picture& picture, std::size_t width, const Colors& c) {
  const std::int64_t end = task.phase == TaskView::Phase::done ? task.finished_ns : picture.now_ns;
  const std::string time = format_seconds(is_cached(task) ? 0 : end - task.started_ns);
  std::string label = cat(" => ", label_of(task));
  const std::string with_reason = cat(label, "  (", task.note, ")");
  const bool fits = columns(with_reason) + 1 + time.size() <= width;
  if (has_reason(task) && fits) label = with_reason;
  const std::string line = with_right(label, time, width);
  if (task.phase == TaskView::Phase::running) return {line};
  const std::string& color =
      task.state == TaskState::failed ? c.error : (task.state == TaskState::ok || is_cached(task) ? c.run : c.cancel);
  std::vector<std::string> lines{cat(color, line, c.reset)};
  if (has_reason(task) && !fits && picture.final) lines.push_back(why_line(task, width, c));
  return lines;
}

std::vector<std::string> detail_lines(const TaskView& task, std::size_t width, std::size_t room, const Colors& c) {
  std::vector<std::string> lines;
  if (task.phase == TaskView::Phase::running && !task.note.empty()) lines.push_back(why_line(task, width, c));
  for (const auto& [item, counter] : task.counters) lines.push_back(clip(cat(" => => ", counter_line(counter)), width));
  std::vector<std::string> tail(task.tail.begin(), task.tail.end());
  if (!task.partial.empty()) tail.push_back(sanitize_for_terminal(task.partial));
  const std::size_t skip = tail.size() > tail_lines() ? tail.size() - tail_lines() : 0;
  for (std::size_t i = skip; i < tail.size(); ++i)
    lines.push_back(cat(c.dim, clip(cat(" => => # ", tail[i]), width), c.reset));
  if (lines.size() > room) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(room));
  return lines;
}

/// What all commands have used: the processors' time together, the memory of the largest.
std::string use_of_all(const Picture& picture) {
  ResourceUse sum;
  for (const TaskView& task : picture.tasks) {
    sum.user_ns += task.use.user_ns;
    sum.system_ns += task.use.system_ns;
    sum.peak_memory_bytes = std::max(sum.peak_memory_bytes, task.use.peak_memory_bytes);
  }
  return use_text(sum);
}

std::string title(const Picture& picture, std::size_t done, std::size_t width) {
  const auto failed = std::any_of(picture.tasks.begin(), picture.tasks.end(), [](const TaskView& t) {
    return t.phase == TaskView::Phase::done && t.state == TaskState::failed;
  });
  std::string text =
      cat("[+] Building ", format_seconds(picture.elapsed_ns), " (", done, '/', picture.tasks.size(), ')');
  if (picture.final) text += failed ? " FAILED" : " FINISHED";
  const std::string use = picture.final ? use_of_all(picture) : std::string();
  if (!use.empty()) text += cat("  ", use);
  return clip(text, width);
}

bool visible(const TaskView& task) { return task.phase != TaskView::Phase::waiting; }

}  // namespace

std::vector<std::string> draw(const Picture& picture, std::size_t width, std::size_t height, bool color) {
  const Colors c = color ? colors_of_environment() : Colors{};
  std::vector<const TaskView*> shown;
  std::size_t done = 0, running = 0;
  for (const TaskView& task : picture.tasks) {
    if (visible(task)) shown.push_back(&task);
    done += task.phase == TaskView::Phase::done;
    running += task.phase == TaskView::Phase::running;
  }
  std::vector<std::string> lines{title(picture, done, width)};
  for (const std::string& note : picture.notes) lines.push_back(cat(c.warning, clip(note, width), c.reset));
  const std::size_t fixed = lines.size() + running;
  const std::size_t room =
      height == 0 || height > fixed + shown.size() ? shown.size() : (height > fixed ? height - fixed : 1);
  std::size_t finished_to_skip = shown.size() > room ? shown.size() - room : 0;
  std::size_t spare =
      height == 0 ? SIZE_MAX : (height > lines.size() + shown.size() ? height - lines.size() - shown.size() : 0);
  for (const TaskView* task : shown) {
    if (task->phase == TaskView::Phase::done && finished_to_skip > 0) {
      --finished_to_skip;  // a small window keeps the newest
      continue;
    }
    for (std::string& line : step_lines(*task, picture, width, c)) lines.push_back(std::move(line));
    if (task->phase != TaskView::Phase::running) continue;
    const std::size_t share = height == 0 || running == 0 ? tail_lines() + 4 : std::min(spare, tail_lines() + 4);
    for (std::string& detail : detail_lines(*task, width, share, c)) {
      lines.push_back(std::move(detail));
      if (spare != SIZE_MAX && spare > 0) --spare;
    }
  }
  if (height != 0 && lines.size() > height) lines.resize(height);
  return lines;
}

TtyProgress::TtyProgress(int fd) : fd_(fd), start_ns_(sys::monotonic_ns()) {}

TtyProgress::~TtyProgress() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (ticker_.joinable()) ticker_.join();
  redraw(true);
}

void TtyProgress::tick() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kFrame, [this] { return stopping_; })) redraw(false);
}

void TtyProgress::on_event(const ProgressEvent& event) {
  const std::lock_guard lock(mutex_);
  std::visit([this](const auto& e) { handle(e); }, event);
}

TaskView& TtyProgress::task(TaskId id) {
  const auto [it, fresh] = tasks_.try_emplace(id);
  if (fresh) order_.push_back(id);
  return it->second;
}

void TtyProgress::handle(const TaskAdded& event) { task(event.id).name = display_name(event.name, 0); }

void TtyProgress::handle(const TaskStarted& event) {
  TaskView& view = task(event.id);
  view.phase = TaskView::Phase::running;
  view.started_ns = event.time_ns;
  view.note = sanitize_for_terminal(event.note);
  if (ticker_.joinable() || stopping_) return;
  if (auto ticker = try_start_thread([this] { tick(); })) ticker_ = std::move(*ticker);
}

void TtyProgress::handle(const TaskFinished& event) {
  TaskView& view = task(event.id);
  if (view.phase == TaskView::Phase::waiting) view.started_ns = event.time_ns;
  view.phase = TaskView::Phase::done;
  view.finished_ns = event.time_ns;
  view.state = event.state;
  view.error = event.error;
}

void TtyProgress::handle(const TaskLog& event) {
  TaskView& view = task(event.id);
  view.partial += event.data;
  std::size_t begin = 0;
  for (std::size_t end = view.partial.find('\n'); end != std::string::npos; end = view.partial.find('\n', begin)) {
    view.tail.push_back(sanitize_for_terminal(view.partial.substr(begin, end - begin)));
    if (view.tail.size() > tail_lines()) view.tail.pop_front();
    begin = end + 1;
  }
  view.partial.erase(0, begin);
  if (view.partial.size() > 4096) view.partial.erase(0, view.partial.size() - 4096);
}

void TtyProgress::handle(const TaskCounter& event) {
  TaskView& view = task(event.id);
  if (event.done)
    view.counters.erase(event.item);
  else
    view.counters.insert_or_assign(event.item, event);
}

void TtyProgress::handle(const TaskUse& event) { task(event.id).use = event.use; }

void TtyProgress::handle(const RunNote& event) { notes_.push_back(sanitize_for_terminal(event.text)); }

void TtyProgress::handle(const RunDiagnostic& event) {
  if (!event.diagnostic.rule.empty()) {
    notes_.push_back(cat("warning: ", frontend::finding_line(event.diagnostic)));
    return;
  }
  for (const std::string& line : split(render(event.diagnostic), '\n'))
    if (!line.empty()) notes_.push_back(line);
}

void TtyProgress::redraw(bool final) {
  struct winsize size {};
  if (ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  Picture picture;
  picture.now_ns = sys::monotonic_ns();
  picture.elapsed_ns = picture.now_ns - start_ns_;
  picture.notes = notes_;
  picture.final = final;
  for (const TaskId id : order_) picture.tasks.push_back(tasks_[id]);
  const std::vector<std::string> lines =
      draw(picture, size.ws_col, final ? 0 : std::max<std::size_t>(size.ws_row, 4) - 1, true);
  std::string out;
  if (drawn_lines_ > 0) out += cat("\x1b[", drawn_lines_, "A\r");
  for (const std::string& line : lines) out += cat(line, "\x1b[K\n");
  out += "\x1b[J";
  drawn_lines_ = lines.size();
  try {
    sys::write_all(fd_, out);
  } catch (const Error&) {
    // The terminal is gone; the build goes on.
  }
}

}  // namespace cbuild::cli
