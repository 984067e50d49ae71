FROM x
CMD ["a",]
CMD ["a" "b"]
CMD ["\x41"]
CMD [1e999]
CMD ["\ud83d\ude00", "\ud83d", "\/"]
VOLUME ['/a', '/b']
