// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/fd.h"

namespace cbuild {

/// A result that goes to a place the user named. Where nothing or a plain file stands, the result appears whole, by
/// rename, or not at all; links are followed first, an existing file keeps its mode, owner and attributes. Anything
/// else (a device, a FIFO, a file that is a mount point, /dev/fd/N) is opened and written through. Missing parents are
/// made. Errors name the place, and on a full disk the disk it is on.
class OutputFile {
 public:
  /// Opens the place; `mode` less the umask is that of a new file. A FIFO is waited for until it has a reader. Throws
  /// Error: a directory, no permission, a missing descriptor; Error{cancelled} when `cancel`, which is borrowed, says
  /// so.
  explicit OutputFile(const std::string& path, mode_t mode = 0666, const CancelSource* cancel = nullptr);
  /// Standard output, which stays open.
  static OutputFile standard_output(const CancelSource* cancel = nullptr);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  /// Without publish() an existing file is as it was, unless it had to be written through.
  ~OutputFile();

  void write(std::span<const std::byte> data);
  /// Writes `size` bytes of a regular file, from its beginning on; its offset is left alone. The kernel copies where it
  /// can, and shares blocks where the file systems do. Throws Error{corrupt} if the file is shorter.
  void write_file(int from, std::uint64_t size, const std::function<void(std::uint64_t)>& written = nullptr);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Ends the file and gives it its name.
  void publish();

 private:
  OutputFile(int descriptor, std::string shown, const CancelSource* cancel);
  std::optional<int> follow_links();
  void take_descriptor(int number);
  void open_place(mode_t mode);
  bool stage(const struct stat* existing, mode_t mode);
  bool keep_attributes(const struct stat& existing);
  void drop_temporary() noexcept;
  void open_through(const struct stat& existing);
  void close();
  void copy_through();
  std::uint64_t copy_in_kernel(int from, std::uint64_t begin, std::uint64_t end);

  std::string path_, target_;  ///< as the user has it; where it leads to
  std::string temporary_;      ///< in directory_; empty where there is none
  UniqueFd directory_, file_;
  const CancelSource* cancel_ = nullptr;
};

/// Writes a whole text as OutputFile does.
void write_output_file(const std::string& path, std::string_view text, mode_t mode = 0644);

/// Adds a hint to a failure for lack of space: what was being written, and the disk that `path` is on. Leaves other
/// errors alone.
void name_full_disk(Error& error, const std::string& shown, const std::string& path);

}  // namespace cbuild
