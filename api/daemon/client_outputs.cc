// SPDX-License-Identifier: Apache-2.0
// The engine writes an archive into a FIFO. The client hears of it with the first byte, so that a build that fails
// before leaves no file and no load begun at the client.
#include "api/daemon/client_outputs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <thread>
#include <utility>

#include "api/daemon/image_layouts.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/output_type.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kPipeChunk = 1u << 20;

std::string csv_pair(const std::string& key, const std::string& value) {
  const std::string field = cat(key, "=", value);
  if (field.find_first_of(",\"\n") == std::string::npos) return field;
  return cat("\"", replace_all(field, "\"", "\"\""), "\"");
}

TempDir below(const std::string& store, const char* prefix) {
  return {sys::open_at(AT_FDCWD, store, O_PATH | O_DIRECTORY).get(), prefix};
}

}  // namespace

std::string output_text(const std::string& type, const std::map<std::string, std::string>& attributes) {
  std::string text = csv_pair("type", type);
  for (const auto& [key, value] : attributes) text += "," + csv_pair(key, value);
  return text;
}

/// One archive under way: a FIFO in a directory of its own, and the thread that reads it.
struct ClientOutputs::Archive {
  Archive(ClientOutputs& owner, int number)
      : session(*owner.session_),
        cancel(owner.cancel_),
        index(number),
        directory(below(owner.store_, "client-archive-")) {
    if (::mkfifoat(directory.fd(), kFifo, 0600) != 0) throw_errno(errno, "make a FIFO");
    read_end = sys::open_at(directory.fd(), kFifo, O_RDONLY | O_NONBLOCK);
    mover = std::thread([this] { move(); });
  }
  ~Archive() { join(); }

  std::string path() const { return cat(directory.path(), "/", kFifo); }

  void move() noexcept {
    try {
      std::string buffer(kPipeChunk, '\0');
      while (const std::size_t got = wait_and_read(buffer)) {
        if (!sender) sender = session.send_archive(index, {}, &cancel);
        sys::write_all(sender->fd(), std::string_view(buffer).substr(0, got));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    read_end.reset();  // the engine's next write fails
  }

  /// 0 when a writer was there and is gone.
  std::size_t wait_and_read(std::string& buffer) const {
    pollfd ready{read_end.get(), POLLIN, 0};
    while (::poll(&ready, 1, -1) < 0)
      if (errno != EINTR) throw_errno(errno, "poll a FIFO");
    const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
    if (got < 0) throw_errno(errno, "read a FIFO");
    return static_cast<std::size_t>(got);
  }

  /// Without a writer so far this is the one that comes and goes.
  void join() {
    if (!mover.joinable()) return;
    (void)UniqueFd(::openat(directory.fd(), kFifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    mover.join();
  }

  void finish() {
    join();
    if (failure) std::rethrow_exception(failure);
    if (sender) sender->finish();
  }

  static constexpr char kFifo[] = "archive";
  ClientSession& session;
  const CancelSource& cancel;
  const int index;
  const TempDir directory;
  UniqueFd read_end;
  std::unique_ptr<ArchiveSender> sender;
  std::exception_ptr failure;
  std::thread mover;
};

struct ClientOutputs::Directory {
  int index;
  TempDir temp;
  bool is_layout = false;  ///< it is the client's content store that takes it
};

ClientOutputs::ClientOutputs(std::shared_ptr<ClientSession> session, std::string store, const CancelSource& cancel)
    : session_(std::move(session)), store_(std::move(store)), cancel_(cancel) {}
ClientOutputs::~ClientOutputs() = default;

exporter::Output ClientOutputs::add(int index, const std::string& type,
                                    const std::map<std::string, std::string>& attributes) {
  std::map<std::string, std::string> given = attributes;
  const exporter::OutputTraits* traits = exporter::find_output_type(type);
  if (traits == nullptr) throw Error(ErrorCode::usage, cat("exporter \"", type, "\" could not be found"));
  given.erase("dest");
  const bool is_image = type == "image" || type == "registry" || type == "cacheonly";
  if (is_image) return exporter::parse_output(output_text(type, given), false);
  if (!session_) throw Error(ErrorCode::usage, cat("output of type ", type, " needs a session"));
  const bool is_layout = given.contains("tar") && !parse_bool(given["tar"]).value_or(true);
  const bool is_tree = type == "local" || is_layout;
  if (is_tree) {
    Directory& directory = *directories_.emplace_back(
        std::make_unique<Directory>(Directory{index, below(store_, "client-output-"), is_layout}));
    given["dest"] = directory.temp.path();
  } else {
    given["dest"] = archives_.emplace_back(std::make_unique<Archive>(*this, index))->path();
  }
  return exporter::parse_output(output_text(type, given), false);
}

void ClientOutputs::finish(const std::map<std::string, std::string>& metadata, bool multi_platform) {
  for (const auto& archive : archives_) archive->finish();
  for (const auto& directory : directories_) {
    if (directory->is_layout) {
      send_layout(directory->temp.path(), *session_->content("export", &cancel_));
      continue;
    }
    SendRequest request;
    request.exporter_index = directory->index;
    request.metadata = metadata;
    request.multi_platform = multi_platform;
    session_->send_directory(request, directory->temp.fd(), &cancel_);
  }
}

}  // namespace cbuild::api
