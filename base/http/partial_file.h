// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/blob_writer.h"
#include "base/http/download.h"
#include "base/http/http.h"

namespace cbuild::http {

/// Leaves the sink when the body need not come: the file is unchanged, or an answer for its rest is of another one.
struct BodyNotWanted {};
TransportFailure rest_of_another_file();
/// Leaves the sink when the same answer is wanted again without its Content-Encoding.
struct BodyIsEncoded {};

/// The part of a file that the answers so far have brought. A broken answer leaves it as it is, and the next one may
/// continue it, or begins it again. No coding is asked for; where one comes all the same, the file is what lies under
/// it (RFC 9110, 8.4), and the request has to be made again to have it decoded.
class PartialFile {
 public:
  struct Options {
    std::uint64_t max_bytes;
    std::string doing;  ///< for messages
    const Downloader::MakeWriter& make;
    const Downloader::Transferred& progress;
  };
  /// `request` must outlive it, and so must the functions.
  PartialFile(const DownloadRequest& request, Options options) : request_(request), options_(std::move(options)) {}

  /// The headers that ask `url` for the file, for its rest, or whether it has changed.
  HeaderList headers_for(const Url& url) const;
  bool wants_decoding() const { return decode_; }

  /// Another answer is asked for.
  void begin_answer() { begun_ = false; }
  /// Bytes of an answer with success. Throws BodyNotWanted, BodyIsEncoded, Error{input} for a file that is too large.
  void take(const Response& head, std::span<const std::byte> data);
  /// The answer as it is to be judged. A file whose rest is not available is begun again.
  Response end_answer(Response response);

  bool is_unchanged() const { return unchanged_; }
  /// After an answer with success or is_unchanged().
  DownloadResult finish();

 private:
  void begin(const Response& head);
  void end_empty(Response& response);
  void read_validators(const Response& head);
  void check_size(std::uint64_t bytes) const;
  void restart();

  const DownloadRequest& request_;
  const Options options_;
  DownloadResult result_;
  std::unique_ptr<BlobWriter> writer_;
  std::uint64_t received_ = 0, total_ = 0;
  bool begun_ = false;  ///< the running answer has brought bytes
  bool unchanged_ = false;
  bool decode_ = false;  ///< the content comes with a Content-Encoding, which is undone; it cannot be continued
};

}  // namespace cbuild::http
